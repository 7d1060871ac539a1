//! The scopes of an authorization request: those of resources and the plain ones, and what is not granted, with the reason
//! (RFC 6749 section 3.3: a server that grants less says what it granted).

use std::sync::Arc;

use super::constraint::Offer;
use super::grammar::{self, Read, Refusal, Written, clip};
use super::{Context, Form, Scope, Scopes, two_contexts};
use crate::error::{Error, Kind, Result};

macro_rules! plain {
    ($($name:ident $text:literal $words:literal;)*) => {
        /// A scope that is none of resources.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Plain { $($name),* }

        impl Plain {
            pub const ALL: &'static [Plain] = &[$(Plain::$name),*];

            pub const fn name(self) -> &'static str {
                match self { $(Plain::$name => $text),* }
            }

            /// For the consent page.
            pub const fn words(self) -> &'static str {
                match self { $(Plain::$name => $words),* }
            }
        }
    };
}

plain! {
    OpenId "openid" "Know that it is you who signed in";
    FhirUser "fhirUser" "Know which record on this server is your own";
    Profile "profile" "Know the address of your own record on this server";
    Launch "launch" "Know which patient and encounter were open when it was started";
    LaunchPatient "launch/patient" "Know which patient is chosen";
    LaunchEncounter "launch/encounter" "Know which encounter is chosen";
    OfflineAccess "offline_access" "Keep its access when you are not there, until you take it back";
    OnlineAccess "online_access" "Keep its access for as long as you are signed in";
    OrchestrateLaunch "smart/orchestrate_launch" "Start other apps with what is chosen";
}

impl Plain {
    pub fn parse(text: &str) -> Option<Plain> {
        Plain::ALL.iter().copied().find(|plain| plain.name() == text)
    }
}

/// A scope that was asked and cannot be granted here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ungranted {
    pub scope: String,
    pub why: String,
}

/// What an app asks for. Each scope of the request is in one of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requested {
    pub scopes: Scopes,
    pub plain: Vec<Plain>,
    pub unknown: Vec<Ungranted>,
}

/// More than fits into the header of a request.
const BYTES_MAX: usize = 8_192;

/// Two sets of constraints are narrowed pair by pair, so few do much work.
const CONSTRAINED_MAX: usize = 32;

impl Requested {
    /// A scope of resources that is badly written is refused, as are a constraint that cannot be enforced and two contexts
    /// or two versions of SMART in one request; one that is well written and names what is not here is listed.
    pub fn parse(text: &str, offer: &Offer<'_>) -> Result<Requested> {
        Requested::read(text, offer, true)
    }

    /// The same of what a refresh asks for again: what was granted may be of both versions, for not all that is left of a
    /// scope of v1 has a word there.
    pub fn of_refresh(text: &str, offer: &Offer<'_>) -> Result<Requested> {
        Requested::read(text, offer, false)
    }

    fn read(text: &str, offer: &Offer<'_>, of_one_kind: bool) -> Result<Requested> {
        if text.len() > BYTES_MAX {
            return Err(Error::new(Kind::Invalid, format!("the scopes are longer than {BYTES_MAX} bytes; ask for fewer")).at("scope"));
        }
        let (mut requested, mut first) = (Requested::default(), None);
        for token in grammar::tokens(text) {
            let of_resources = token.split_once('/').is_some_and(|(before, _)| Context::named(before).is_some());
            match Plain::parse(token) {
                Some(plain) if requested.plain.contains(&plain) => {}
                Some(plain) => requested.plain.push(plain),
                None if of_resources => {
                    let written = grammar::read(token).map_err(|refused| refused.of(token))?;
                    let first = *first.get_or_insert((written.context, written.form, token));
                    if of_one_kind {
                        written.goes_with(first, token)?;
                    }
                    requested.add(token, written.judged(offer))?;
                }
                None => requested.add(token, Err(Refusal::NotServed("is no scope of this server".into())))?,
            }
        }
        if requested.scopes.0.iter().filter(|scope| !scope.constraints.is_empty()).count() > CONSTRAINED_MAX {
            let says = format!("more than {CONSTRAINED_MAX} scopes have constraints; ask for fewer");
            return Err(Error::new(Kind::Invalid, says).at("scope"));
        }
        Ok(requested)
    }

    fn add(&mut self, token: &str, judged: Read<Scope>) -> Result<()> {
        match judged {
            Ok(scope) if self.scopes.0.contains(&scope) => {}
            Ok(scope) => Arc::make_mut(&mut self.scopes.0).push(scope),
            Err(Refusal::NotServed(why)) => self.unknown.push(Ungranted { scope: clip(token), why }),
            Err(refused @ Refusal::Malformed(_)) => return Err(refused.of(token)),
        }
        Ok(())
    }
}

impl Written<'_> {
    /// Two contexts, or two versions of SMART, do not stand in one request, whether or not they are served.
    fn goes_with(&self, (context, form, first): (Context, Form, &str), token: &str) -> Result<()> {
        let says = match (self.context == context, self.form == form) {
            (true, true) => return Ok(()),
            (false, _) => two_contexts(&clip(first), &clip(token)),
            (true, false) => {
                format!("'{}' and '{}' are of two versions of SMART; write all scopes as .rs or all as .read", clip(first), clip(token))
            }
        };
        Err(Error::new(Kind::Invalid, says).at("scope"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::scopes::universe::offer;

    #[test]
    fn each_scope_is_somewhere() {
        let text = "openid fhirUser launch/patient offline_access patient/Patient.rs patient/Immunization.rs launch/imagingstudy \
                    patient/Observation.rs?category=laboratory patient/Patient.rs openid Patient/Device.rs patient%2fDevice.rs";
        let asked = Requested::parse(text, &offer).unwrap();
        assert_eq!(asked.scopes.to_string(), "patient/Patient.rs patient/Observation.rs?category=laboratory");
        assert_eq!(asked.plain, [Plain::OpenId, Plain::FhirUser, Plain::LaunchPatient, Plain::OfflineAccess]);
        let unknown: Vec<(&str, &str)> = asked.unknown.iter().map(|one| (one.scope.as_str(), one.why.as_str())).collect();
        assert_eq!(
            unknown,
            [
                ("patient/Immunization.rs", "names a resource type that is not served"),
                ("launch/imagingstudy", "is no scope of this server"),
                ("Patient/Device.rs", "is no scope of this server"),
                ("patient%2fDevice.rs", "is no scope of this server"),
            ]
        );
        assert_eq!(Requested::parse("", &offer).unwrap(), Requested::default());
    }

    #[test]
    fn what_cannot_be_enforced_is_refused() {
        for (constrained, why) in [
            ("patient/Observation.rs?_profile=http://x", "no token, reference or date"),
            ("patient/Observation.rs?bogus=1", "does not have here"),
            ("patient/*.rs?code=a", "does not have here"),
        ] {
            let refused = Requested::parse(&format!("patient/Device.rs {constrained}"), &offer).unwrap_err();
            assert!(refused.says().contains(constrained) && refused.says().contains(why), "{}", refused.says());
        }
        // Nothing of this type is here, so nothing is granted.
        let asked = Requested::parse("patient/Device.rs patient/Immunization.rs?status=completed", &offer).unwrap();
        assert_eq!((asked.scopes.to_string().as_str(), asked.unknown.len()), ("patient/Device.rs", 1));
    }

    #[test]
    fn a_request_is_of_one_context_one_version_and_one_spelling() {
        for text in [
            "patient/Device.rs system/Device.rs",
            "patient/Device.rs user/Device.rs",
            "patient/Device.read patient/Patient.rs",
            "patient/Device.rs system/Immunization.rs",
            "patient/Immunization.read patient/Patient.rs",
            "openid patient/Device.sr",
            "openid patient/Observation.rs?code:in=x",
            &"openid ".repeat(1_200),
            &(0..33).map(|n| format!("patient/Observation.r?code=c{n}")).collect::<Vec<_>>().join(" "),
        ] {
            let refused = Requested::parse(text, &offer).unwrap_err();
            assert_eq!((refused.kind, refused.issues[0].at.as_deref()), (Kind::Invalid, Some("scope")), "{text}");
        }
        let v1 = Requested::parse("launch patient/*.read patient/Device.*", &offer).unwrap();
        assert_eq!(v1.scopes.to_string(), "patient/*.read patient/Device.*");
    }

    #[test]
    fn plain_scopes_read_back() {
        assert!(Plain::ALL.iter().all(|plain| Plain::parse(plain.name()) == Some(*plain) && !plain.words().is_empty()));
        for text in ["OpenID", "fhiruser", "launch/", "offline_access ", "smart/", "launch/patient?role=x"] {
            assert_eq!(Plain::parse(text), None, "{text}");
        }
    }
}
