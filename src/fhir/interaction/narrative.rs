//! The links of a narrative. Its XHTML was judged before: it is well-formed, and has no CDATA section.

use std::borrow::Cow;
use std::ops::Range;

/// The text with those links replaced that `resolve` answers; None when there are none.
pub(super) fn replaced(text: &str, resolve: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let mut out = String::new();
    let mut done = 0;
    for at in links(text) {
        let Some(new) = text.get(at.clone()).and_then(|value| resolve(unescaped(value).trim())) else { continue };
        out.push_str(text.get(done..at.start).unwrap_or_default());
        escape(&mut out, &new);
        done = at.end;
    }
    (done > 0).then(|| out + text.get(done..).unwrap_or_default())
}

/// Where the values of `href` and `src` stand.
fn links(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = find(text, at, "<") {
        at = match text.get(open..).is_some_and(|rest| rest.starts_with("<!--")) {
            true => find(text, open + 4, "-->").unwrap_or(text.len()),
            false => tag(text, open + 1, &mut found),
        };
    }
    found
}

fn find(text: &str, from: usize, what: &str) -> Option<usize> {
    text.get(from..)?.find(what).map(|at| from + at)
}

/// Notes the links of a tag. Answers where it ends.
fn tag(text: &str, from: usize, found: &mut Vec<Range<usize>>) -> usize {
    let mut at = from;
    loop {
        // A quote or the end, whichever comes first: a value may hold a `>`.
        let Some(next) = text.get(at..).and_then(|rest| rest.find(['"', '\'', '>'])).map(|next| at + next) else { return text.len() };
        let quote = match text.get(next..=next) {
            Some(quote) if quote != ">" => quote,
            _ => return next + 1,
        };
        let Some(end) = find(text, next + 1, quote) else { return text.len() };
        let name = text.get(at..next).unwrap_or_default().trim_end().trim_end_matches('=').trim_end();
        if matches!(name.rsplit(|c: char| c.is_ascii_whitespace()).next(), Some("href" | "src")) {
            found.push(next + 1..end);
        }
        at = end + 1;
    }
}

fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains('&') {
        return Cow::Borrowed(value);
    }
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        rest = after;
        match after.split_once(';').and_then(|(name, after)| Some((entity(name)?, after))) {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

fn escape(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(text: &str) -> Option<String> {
        replaced(text, &|link| match link {
            "urn:uuid:a" => Some("Patient/1".to_owned()),
            "http://a/b?c=d&e=f" => Some("x?\"'&<".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn links_are_replaced() {
        let cases = [
            (r#"<div><a href="urn:uuid:a">x</a></div>"#, r#"<div><a href="Patient/1">x</a></div>"#),
            ("<img alt='>' src = '\n urn:uuid:a'/>", "<img alt='>' src = 'Patient/1'/>"),
            (r#"<a title="href=" href="&#117;rn:uuid:&#x61;">"#, r#"<a title="href=" href="Patient/1">"#),
            (r#"<a href="http://a/b?c=d&amp;e=f">"#, r#"<a href="x?&quot;&#39;&amp;&lt;">"#),
            (
                r#"<a href="urn:uuid:a"/>ä<a href="x"/><a href="urn:uuid:a"/>"#,
                r#"<a href="Patient/1"/>ä<a href="x"/><a href="Patient/1"/>"#,
            ),
            (r#"<a href="x"/> <!-- " --> <a href="urn:uuid:a"/>"#, r#"<a href="x"/> <!-- " --> <a href="Patient/1"/>"#),
        ];
        for (before, wanted) in cases {
            assert_eq!(after(before).as_deref(), Some(wanted), "{before}");
        }
    }

    #[test]
    fn what_is_no_link_stays() {
        for text in [
            "",
            "urn:uuid:a",
            "<p>href=\"urn:uuid:a\"</p>",
            "<p title=\"urn:uuid:a\"/>",
            "<a xhref=\"urn:uuid:a\"/>",
            "<a href=\"urn:uuid:a#b\"/>",
            "<!-- <a href=\"urn:uuid:a\"/> -->",
            "<a title='href=\"urn:uuid:a\"'/>",
            "<a href=\"urn:uuid:b\"/>",
            "<a href=\"urn:uuid:a",
            "<a href=",
        ] {
            assert_eq!(after(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_walked(text in r#"[<>!="'ä&;#a href-]{0,40}"#) {
            let _ = replaced(&text, &|_| Some("ö".to_owned()));
        }

        #[test]
        fn a_value_is_escaped_and_read_again(text in any::<String>()) {
            let mut out = String::new();
            escape(&mut out, &text);
            prop_assert_eq!(unescaped(&out), text);
        }
    }
}
