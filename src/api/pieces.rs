//! A long body: its next piece is made when the client has taken the one before. While a client takes nothing, no
//! thread waits for it, and at most what it was given last stays in memory.

use actix_web::web::{Bytes, Data};
use futures_util::{Stream, stream};

use super::readers::Readers;
use super::request::Rest;
use crate::error::{Error, Result};

/// The connection keeps a piece until it is sent; so much fills the window of any client.
const PIECE: usize = 64 * 1024;

/// What is there already, then what `rest` makes, cut to pieces.
pub fn pieces(first: Vec<u8>, rest: Rest, readers: Option<Data<Readers>>) -> impl Stream<Item = Result<Bytes>> {
    let begin = (Bytes::from(first), Some(rest));
    stream::unfold(begin, move |(mut text, mut rest)| {
        let readers = readers.clone();
        async move {
            while text.is_empty() {
                match next(rest.take()?, readers.as_ref()).await {
                    Ok((made, again)) => (text, rest) = (Bytes::from(made?), Some(again)),
                    Err(e) => {
                        tracing::error!(cause = ?e, "an answer could not be ended");
                        // The connection breaks off, so that half a body does not look like a whole one.
                        return Some((Err(e), (text, None)));
                    }
                }
            }
            let piece = text.split_to(PIECE.min(text.len()));
            Some((Ok(piece), (text, rest)))
        }
    })
}

/// Makes a piece where requests are answered.
async fn next(mut rest: Rest, readers: Option<&Data<Readers>>) -> Result<(Option<Vec<u8>>, Rest)> {
    let work = move || rest().map(|made| (made, rest));
    let made = match readers {
        Some(readers) => readers.run(work),
        None => tokio::task::spawn_blocking(work),
    };
    made.await.map_err(Error::bug)?
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::StreamExt;

    use super::*;
    use crate::api::server::block_on;

    /// Makes `n` texts of this length, then `end`; and how many were made so far.
    fn rest(n: usize, length: usize, end: fn() -> Result<Option<Vec<u8>>>) -> (Rest, Arc<AtomicUsize>) {
        let made = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&made);
        let rest = move || {
            let before = counter.fetch_add(1, Ordering::SeqCst);
            if before < n { Ok(Some(vec![b'0' + before as u8; length])) } else { end() }
        };
        (Box::new(rest), made)
    }

    #[test]
    fn a_long_text_is_cut_and_nothing_is_made_before_it_is_taken() {
        let (rest, made) = rest(3, 2 * PIECE + 1, || Ok(None));
        let run = async move {
            let mut body = pin!(pieces(b"first".to_vec(), rest, Some(Data::new(Readers::start(1)?))));
            let (mut whole, mut taken) = (Vec::new(), 0);
            while let Some(piece) = body.next().await.transpose()? {
                assert!(!piece.is_empty() && piece.len() <= PIECE, "{}", piece.len());
                // Three pieces of each text, and one of the first.
                assert_eq!(made.load(Ordering::SeqCst), usize::div_ceil(taken, 3));
                taken += 1;
                whole.extend_from_slice(&piece);
            }
            assert_eq!(taken, 10);
            let texts = (0..3).flat_map(|n| vec![b'0' + n; 2 * PIECE + 1]);
            assert!(whole.into_iter().eq(b"first".iter().copied().chain(texts)));
            Ok(())
        };
        block_on(run).unwrap();
    }

    #[test]
    fn a_text_that_cannot_be_made_breaks_the_body_off() {
        let (rest, _) = rest(1, 10, || Err(Error::bug("nothing more")));
        let run = async move {
            let body: Vec<_> = pieces(Vec::new(), rest, None).collect().await;
            assert_eq!(body.len(), 2);
            assert!(body[0].is_ok() && body[1].is_err());
            Ok(())
        };
        block_on(run).unwrap();
    }
}
