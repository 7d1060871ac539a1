//! What every page has: its head, its headers, and what was wrong with the form that came before it.

use askama::Template;

use super::{Visit, root};
use crate::api::request::Reply;
use crate::error::{Error, Kind, Result};
use crate::fhir::validate::scheme;

/// Something that is wrong with a form: the id of the field, if it is one, and words.
#[derive(Clone, Debug)]
pub struct Fault {
    pub at: &'static str,
    pub says: String,
}

impl Fault {
    pub fn new(at: &'static str, says: impl Into<String>) -> Fault {
        Fault { at, says: says.into() }
    }
}

pub struct Shell {
    /// What paths begin with.
    pub root: String,
    pub faults: Vec<Fault>,
}

impl Shell {
    pub fn fault(&self, at: &str) -> Option<&str> {
        self.faults.iter().find(|fault| fault.at == at).map(|fault| fault.says.as_str())
    }

    /// The attributes of a field; `at` is a name of ours.
    pub fn marks(&self, at: &str) -> String {
        match self.fault(at) {
            Some(_) => format!(" aria-invalid=\"true\" aria-describedby=\"{at}-fault\""),
            None => String::new(),
        }
    }

    /// The same of a field with a hint.
    pub fn marks_with(&self, at: &str, hint: &str) -> String {
        match self.fault(at) {
            Some(_) => format!(" aria-invalid=\"true\" aria-describedby=\"{hint} {at}-fault\""),
            None => format!(" aria-describedby=\"{hint}\""),
        }
    }
}

/// A page. Its forms may send to this server, and the answer may send the browser on to `onward` (a `redirect_uri`), which
/// browsers hold to be a target of the form, too, with all that the app sends it on to from there.
pub fn page(status: u16, template: &impl Template, onward: Option<&str>) -> Result<Reply> {
    let text = template.render().map_err(Error::bug)?;
    let onward = onward.map(source).unwrap_or_default();
    let policy = format!("default-src 'none'; style-src 'self'; form-action 'self'{onward}; base-uri 'none'; frame-ancestors 'none'");
    let reply = Reply { status, content_type: "text/html; charset=utf-8".into(), body: text.into_bytes(), ..Reply::default() };
    Ok(reply
        .with("content-security-policy", policy)
        .with("referrer-policy", "no-referrer")
        .with("x-frame-options", "DENY")
        .with("cross-origin-resource-policy", "same-origin"))
}

/// Where a form may lead by a URI: its scheme, for where an app goes on to is the app's. Plain HTTP is an app's on its own
/// machine, whose `[::1]` no policy can say.
fn source(uri: &str) -> String {
    match scheme(uri) {
        None => String::new(),
        Some("http") => " http: https:".to_owned(),
        Some(scheme) => format!(" {scheme}:"),
    }
}

#[derive(Template)]
#[template(path = "failed.html")]
struct Failed<'a> {
    shell: Shell,
    title: &'a str,
    says: &'a str,
    remedy: &'a str,
    request: &'a str,
}

/// The page of a refusal, or of a failure of ours.
pub fn failed(visit: &Visit<'_>, e: &Error) -> Result<Reply> {
    let wire = e.kind.wire();
    match &e.cause {
        Some(cause) if wire.status >= 500 => {
            tracing::error!(request_id = visit.request.id, code = wire.code, raised = %e.raised, cause, "request failed");
        }
        Some(cause) => tracing::warn!(request_id = visit.request.id, code = wire.code, raised = %e.raised, cause, "request refused"),
        None => {}
    }
    let status = if (400..600).contains(&wire.status) { wire.status } else { 500 };
    let title = match status {
        401 | 403 => "You cannot go on",
        500.. => "Something went wrong on this server",
        _ => "This does not work",
    };
    let (says, remedy) = match (wire.speaks, e.kind) {
        (true, Kind::Invalid | Kind::Parameter | Kind::Unauthenticated | Kind::Forbidden | Kind::Throttled) => (e.says(), ""),
        (true, _) => (e.says(), wire.remedy),
        (false, _) => (wire.remedy, ""),
    };
    let shell = Shell { root: root(visit.app), faults: Vec::new() };
    let reply = page(status, &Failed { shell, title, says, remedy, request: &visit.request.id }, None)?;
    let reply = match e.kind {
        Kind::Busy | Kind::TooSlow => reply.with("retry-after", "5"),
        Kind::Throttled => reply.with("retry-after", "60"),
        _ => reply,
    };
    // The gate takes this for the audit entry's reason.
    Ok(reply.with("x-firth-error", wire.code))
}

#[cfg(test)]
mod tests {
    use super::source;

    #[test]
    fn a_policy_names_the_scheme_and_nothing_else() {
        for (uri, wanted) in [
            ("https://app.example/cb?x=1", " https:"),
            ("http://[::1]:4711/cb", " http: https:"),
            ("com.example.app:/cb", " com.example.app:"),
            ("https://app.example;script-src *", " https:"),
            ("a b:/cb", ""),
            ("a;b:/cb", ""),
            ("no-uri", ""),
        ] {
            assert_eq!(source(uri), wanted, "{uri}");
        }
    }
}
