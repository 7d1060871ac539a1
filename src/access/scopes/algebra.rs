//! Sets of scopes against each other: what two of them both allow, and whether one allows all of another.

use std::sync::Arc;

use super::constraint::{Constraint, all_imply};
use super::{Context, Form, Interaction, Scope, Scopes};

impl Scopes {
    /// What both allow, in the order and the form in which `self` asks: a request narrowed by what a role may, by what a
    /// client was registered for, by what a person ticked. Exact: letters, types and constraints of each pair together.
    pub fn narrowed(&self, by: &Scopes) -> Scopes {
        let mut narrow: Vec<Scope> = Vec::new();
        for asked in self.0.iter() {
            let mut of_one = Vec::new();
            if by.0.iter().any(|limit| limit.covers(asked)) {
                of_one.push(asked.clone());
            } else {
                by.0.iter().filter_map(|limit| asked.met(limit)).for_each(|met| add(&mut of_one, met));
            }
            // What comes to the same is granted once; the rest is answered scope by scope, as it was asked.
            for met in of_one {
                if !narrow.iter().any(|known| known.covers(&met) && met.covers(known)) {
                    narrow.push(met);
                }
            }
        }
        Scopes(narrow.into())
    }

    /// What a role that is said in one context may do in another: who may see more patients may see the one in context, and
    /// who may see one record may see it as a user. A system's scopes are no person's, but those of the audit log, which is
    /// of no patient: whoever signs in as an auditor reads it as a user.
    pub fn within(&self, context: Context) -> Scopes {
        let personal = |context: Context| matches!(context, Context::Patient | Context::User);
        let audits = |scope: &Scope| context == Context::User && scope.resource == Some("AuditEvent");
        let fits = |scope: &&Scope| scope.context == context || (personal(scope.context) && personal(context)) || audits(scope);
        Scopes(Arc::new(self.0.iter().filter(fits).map(|scope| Scope { context, ..scope.clone() }).collect()))
    }

    /// Does this set allow all that the other does, now and with types that are served one day? So is a refresh judged
    /// (RFC 6749 section 6: no scope that was not granted). Judged scope by scope: a no may be wrong where two constraints
    /// together say the same as a third, a yes is not.
    pub fn covers(&self, other: &Scopes) -> bool {
        other.0.iter().all(|asked| {
            let letters = Interaction::LETTERS.iter().map(|(_, bit)| *bit as u8).filter(|bit| asked.letters & bit != 0);
            letters.into_iter().all(|letter| self.0.iter().any(|own| own.letters & letter != 0 && own.reaches(asked)))
        })
    }
}

impl Scope {
    /// All resources of the other's, whatever the letters.
    fn reaches(&self, other: &Scope) -> bool {
        self.context == other.context
            && (self.resource.is_none() || self.resource == other.resource)
            && all_imply(&other.constraints, &self.constraints)
    }

    fn covers(&self, other: &Scope) -> bool {
        self.letters & other.letters == other.letters && self.reaches(other)
    }

    /// What both allow, if it is anything.
    fn met(&self, limit: &Scope) -> Option<Scope> {
        let resource = match (self.resource, limit.resource) {
            (None, any) | (any, None) => any,
            (Some(own), Some(other)) if own == other => Some(own),
            _ => return None,
        };
        let letters = self.letters & limit.letters;
        if self.context != limit.context || letters == 0 {
            return None;
        }
        let constraints = conjoined(&self.constraints, &limit.constraints);
        // Version 1 has no words for constraints.
        let form = if constraints.is_empty() { self.form } else { Form::V2 };
        Some(Scope { context: self.context, resource, letters, form, constraints })
    }
}

/// Both lists, without those that another one says already.
fn conjoined(own: &[Constraint], others: &[Constraint]) -> Vec<Constraint> {
    let mut all = own.to_vec();
    for other in others {
        if !all.iter().any(|known| known.implies(other)) {
            all.retain(|known| !other.implies(known));
            all.push(other.clone());
        }
    }
    all
}

/// Adds to a union: what is in it already adds nothing, and letters under the same limits stand together.
fn add(all: &mut Vec<Scope>, new: Scope) {
    if all.iter().any(|known| known.covers(&new)) {
        return;
    }
    all.retain(|known| !new.covers(known));
    match all.iter_mut().find(|known| known.reaches(&new) && new.reaches(known)) {
        Some(same) => same.letters |= new.letters,
        None => all.push(new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::scopes::universe::{CONTEXTS, allowed, meaning, offer, sets};
    use proptest::prelude::*;

    fn read(text: &str) -> Scopes {
        Scopes::granular(text, &offer).unwrap()
    }

    #[test]
    fn a_role_is_said_in_another_context() {
        for (role, context, wanted) in [
            ("user/Observation.cruds user/Device.r", Context::Patient, "patient/Observation.cruds patient/Device.r"),
            ("patient/Observation.rs", Context::User, "user/Observation.rs"),
            ("user/Observation.rs", Context::User, "user/Observation.rs"),
            ("system/Observation.rs", Context::User, ""),
            ("system/Observation.rs", Context::Patient, ""),
            ("system/Observation.rs system/AuditEvent.rs", Context::User, "user/AuditEvent.rs"),
            ("system/AuditEvent.rs", Context::Patient, ""),
            ("user/Observation.rs", Context::System, ""),
            ("system/Observation.rs", Context::System, "system/Observation.rs"),
        ] {
            assert_eq!(read(role).within(context).to_string(), wanted, "{role}");
        }
    }

    #[test]
    fn narrowing_by_example() {
        for (asked, limit, both) in [
            ("patient/*.rs", "patient/Observation.cruds patient/Device.r", "patient/Observation.rs patient/Device.r"),
            ("user/Observation.cruds", "user/*.rs", "user/Observation.rs"),
            ("user/Observation.rs", "system/*.cruds", ""),
            ("user/Observation.c", "user/Observation.rs", ""),
            ("patient/Observation.rs?category=a", "patient/Observation.r?code=b", "patient/Observation.r?category=a&code=b"),
            ("patient/Observation.rs?category=a", "patient/Observation.rs?category=a", "patient/Observation.rs?category=a"),
            ("patient/Observation.rs?category=a,b", "patient/Observation.rs?category=b", "patient/Observation.rs?category=b"),
            ("patient/*.read", "patient/Observation.cruds patient/Device.r", "patient/Observation.read patient/Device.r"),
            ("patient/Device.*", "patient/Device.c patient/Device.r patient/Device.uds", "patient/Device.*"),
            ("patient/Device.*", "patient/*.read", "patient/Device.read"),
            ("patient/Observation.rs patient/*.rs", "patient/*.rs", "patient/Observation.rs patient/*.rs"),
            ("patient/Observation.rs patient/*.rs", "patient/Observation.rs", "patient/Observation.rs"),
            // The letters of one scope never meet the constraints of another.
            (
                "user/Observation.r?category=a user/Observation.s?category=b",
                "user/Observation.rs",
                "user/Observation.r?category=a user/Observation.s?category=b",
            ),
        ] {
            assert_eq!(read(asked).narrowed(&read(limit)).to_string(), both, "{asked} by {limit}");
        }
    }

    #[test]
    fn covering_by_example() {
        for (wide, narrow, covers) in [
            ("user/*.cruds", "user/Observation.rs user/Device.c", true),
            ("user/Observation.r user/Observation.s", "user/Observation.rs", true),
            ("user/Observation.rs", "user/Observation.read", true),
            ("user/Observation.rs", "user/Observation.rs?category=a", true),
            ("user/Observation.rs?category=a,b", "user/Observation.rs?category=b&code=c", true),
            ("user/Observation.rs", "", true),
            ("", "user/Observation.r", false),
            ("user/Observation.rs", "user/Observation.ru", false),
            ("user/Observation.rs", "user/*.rs", false),
            ("user/Observation.rs", "patient/Observation.rs", false),
            ("user/Observation.rs?category=a", "user/Observation.rs", false),
            ("user/Observation.r?category=a user/Observation.s", "user/Observation.s?category=a", true),
            ("user/Observation.r?category=a user/Observation.s", "user/Observation.r", false),
        ] {
            assert_eq!(read(wide).covers(&read(narrow)), covers, "{wide} covers {narrow}");
        }
    }

    #[test]
    fn many_scopes_do_not_multiply() {
        let many: Vec<String> = (0..150).map(|n| format!("patient/Observation.rs?code=c{n}")).collect();
        let many = read(&many.join(" "));
        assert_eq!(many.narrowed(&many), many);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_500))]
        #[test]
        fn narrowed_is_what_both_mean(a in sets(&CONTEXTS[..2], true), b in sets(&CONTEXTS[..2], true)) {
            let both = read(&a).narrowed(&read(&b));
            let wanted: std::collections::BTreeSet<_> = meaning(&a).intersection(&meaning(&b)).cloned().collect();
            prop_assert_eq!(meaning(&both.to_string()), wanted);
            prop_assert_eq!(&read(&both.to_string()).to_string(), &both.to_string());
            prop_assert!(read(&a).covers(&both) && read(&b).covers(&both));
        }

        #[test]
        fn a_set_means_the_union_of_its_scopes(a in sets(&CONTEXTS[..1], true)) {
            prop_assert_eq!(allowed("patient", &read(&a)), meaning(&a));
        }

        #[test]
        fn to_cover_is_to_mean_no_less(a in sets(&CONTEXTS[..2], true), b in sets(&CONTEXTS[..2], true)) {
            prop_assert!(!read(&a).covers(&read(&b)) || meaning(&a).is_superset(&meaning(&b)));
        }

        #[test]
        fn without_constraints_covering_is_exact(a in sets(&CONTEXTS, false), b in sets(&CONTEXTS, false)) {
            prop_assert_eq!(read(&a).covers(&read(&b)), meaning(&a).is_superset(&meaning(&b)), "{} covers {}", a, b);
        }

        #[test]
        fn covering_is_an_order(a in sets(&CONTEXTS[..1], true), b in sets(&CONTEXTS[..1], true), c in sets(&CONTEXTS[..1], true)) {
            let (a, b, c) = (read(&a), read(&b), read(&c));
            prop_assert!(a.covers(&a));
            // Chains that are there by making, as chance makes few.
            let (ab, abc) = (a.narrowed(&b), a.narrowed(&b).narrowed(&c));
            prop_assert!(a.covers(&ab) && ab.covers(&abc) && a.covers(&abc));
            for (x, y, z) in [(&a, &b, &c), (&b, &c, &a), (&c, &ab, &abc), (&b, &ab, &c)] {
                prop_assert!(!(x.covers(y) && y.covers(z)) || x.covers(z));
                prop_assert!(!(x.covers(y) && y.covers(x)) || meaning(&x.to_string()) == meaning(&y.to_string()));
            }
        }
    }
}
