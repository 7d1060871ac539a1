//! Comparing the `htu` of a proof: RFC 3986 section 6.2.2 and 6.2.3, which RFC 9449 section 4.3 asks for.

const LONGEST: usize = 2048;

/// The normal form of an absolute http or https URI without its query and fragment. `None`: not such a URI; one with user
/// information never names an endpoint of ours.
pub(super) fn normal(uri: &str) -> Option<String> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b);
    if uri.len() > LONGEST || !uri.bytes().all(fine) {
        return None;
    }
    let whole = uri.split(['?', '#']).next()?;
    let (scheme, rest) = whole.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let usual = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = authority_of(authority, usual)?;
    Some(format!("{scheme}://{authority}{}", without_dots(&unescaped(path)?)))
}

/// Host in lower case, and the port unless it is the usual one.
fn authority_of(text: &str, usual: u16) -> Option<String> {
    let end_of_host = match text.starts_with('[') {
        true => text.find(']')? + 1,
        false => text.find(':').unwrap_or(text.len()),
    };
    let (host, port) = text.split_at(end_of_host);
    let bracketed = host.starts_with('[');
    if host.is_empty() || host.contains(['@', '%']) || (!bracketed && host.contains(['[', ']'])) {
        return None;
    }
    let port = match port.strip_prefix(':') {
        Some("") => usual,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok()?,
        None if port.is_empty() => usual,
        _ => return None,
    };
    let host = host.to_ascii_lowercase();
    Some(if port == usual { host } else { format!("{host}:{port}") })
}

/// Unreserved characters in clear, the digits of all other escapes in upper case.
fn unescaped(path: &str) -> Option<String> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        let digits = after.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let byte = u8::from_str_radix(digits, 16).ok()?;
        out.push_str(before);
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&digits.to_ascii_uppercase());
        }
        rest = &after[2..];
    }
    out.push_str(rest);
    Some(out)
}

/// Section 5.2.4. An empty path is `/`.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
        if last && matches!(segment, "." | "..") {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_ones_have_one_form() {
        let same = [
            "https://firth.example/oauth/token",
            "HTTPS://Firth.EXAMPLE/oauth/token",
            "https://firth.example:443/oauth/token",
            "https://firth.example:/oauth/token",
            "https://firth.example:0443/oauth/token",
            "https://firth.example/oauth/token?a=b#c",
            "https://firth.example/oauth/token#c?d",
            "https://firth.example/%6fauth/t%6Fken",
            "https://firth.example/./oauth/x/../token",
            "https://firth.example/oauth/x/%2E%2e/token",
            "https://firth.example/../../oauth/token",
        ];
        for uri in same {
            assert_eq!(normal(uri).as_deref(), Some(same[0]), "{uri}");
        }
        for (uri, form) in [
            ("http://h", "http://h/"),
            ("http://h:80?x", "http://h/"),
            ("http://h:443/a", "http://h:443/a"),
            ("http://[::1]:8080/a/", "http://[::1]:8080/a/"),
            ("http://[2001:DB8::1]", "http://[2001:db8::1]/"),
            ("http://h/a%2fb%c3", "http://h/a%2Fb%C3"),
            ("http://h/a/.", "http://h/a/"),
            ("http://h/a/b/..", "http://h/a/"),
            ("http://h//a", "http://h//a"),
            ("http://h/A", "http://h/A"),
        ] {
            assert_eq!(normal(uri).as_deref(), Some(form), "{uri}");
        }
    }

    #[test]
    fn others_have_none() {
        let bad = [
            "",
            "/oauth/token",
            "firth.example/oauth",
            "https:/firth.example",
            "ftp://h/",
            "https://",
            "https:///a",
            "https://:443/a",
            "https://a@h/",
            "https://a:b@h/",
            "https://h:x/",
            "https://h:+1/",
            "https://h:99999/",
            "https://h/%",
            "https://h/%4",
            "https://h/%zz",
            "https://%68/",
            "https://[::1/",
            "https://[::1]a/",
            "https://a]/",
            "https://h/ ",
            "https://h\\a",
            "https://h/é",
            "https://h/\u{0}",
        ];
        for uri in bad {
            assert_eq!(normal(uri), None, "{uri}");
        }
        assert_eq!(normal(&format!("https://h/{}", "a".repeat(2048))), None);
    }

    proptest! {
        #[test]
        fn a_normal_form_is_its_own(uri in "https?://[a-zA-Z.]{1,4}(:[0-9]{0,3})?(/(\\.|\\.\\.|[a-z%2Ee]{0,4})){0,5}", noise in ".{0,40}") {
            if let Some(form) = normal(&uri) {
                prop_assert_eq!(normal(&form), Some(form));
            }
            let _ = normal(&noise);
            let _ = normal(&format!("http://{noise}"));
        }
    }
}
