//! The UPDATE of `doc_key` that the database compiles once a connection. Diesel takes each of its own for one whose text may
//! be another the next time; the text of this one depends on the types alone.

use diesel::QueryResult;
use diesel::backend::Backend;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::query_dsl::RunQueryDsl;

/// Columns that are set to values, none of them an `Option`, in the rows of which `of` is true: comparisons with one value.
pub(super) struct Change<S, W> {
    pub set: S,
    pub of: W,
}

impl<S: 'static, W: 'static> QueryId for Change<S, W> {
    type QueryId = Change<S, W>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<DB: Backend, S: QueryFragment<DB>, W: QueryFragment<DB>> QueryFragment<DB> for Change<S, W> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        pass.push_sql("UPDATE doc_key SET ");
        self.set.walk_ast(pass.reborrow())?;
        pass.push_sql(" WHERE ");
        self.of.walk_ast(pass)
    }
}

impl<S, W, Conn> RunQueryDsl<Conn> for Change<S, W> {}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use diesel::connection::{InstrumentationEvent, SimpleConnection};
    use diesel::prelude::*;

    use super::*;
    use crate::store::schema::doc_key;

    #[test]
    fn it_is_compiled_once_a_connection() {
        let mut conn = SqliteConnection::establish(":memory:").unwrap();
        conn.batch_execute("CREATE TABLE doc_key (doc INTEGER PRIMARY KEY, seq INTEGER); INSERT INTO doc_key VALUES (1, 0), (2, 0)")
            .unwrap();
        let compiled = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&compiled);
        conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::CacheQuery { sql, .. } = event {
                told.lock().unwrap().push(sql.to_owned());
            }
        });
        for doc in [1_i64, 2] {
            let change = Change { set: (doc_key::seq.eq(doc + 40),).as_changeset(), of: doc_key::doc.eq(doc) };
            assert_eq!(change.execute(&mut conn).unwrap(), 1);
        }
        let seqs: Vec<i64> = doc_key::table.select(doc_key::seq).order(doc_key::doc).load(&mut conn).unwrap();
        assert_eq!(seqs, [41, 42]);
        let compiled = compiled.lock().unwrap();
        assert_eq!(compiled.iter().filter(|sql| sql.starts_with("UPDATE")).count(), 1, "{compiled:?}");
    }
}
