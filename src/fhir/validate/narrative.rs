//! The XHTML of a narrative: <http://hl7.org/fhir/R4/narrative.html#xhtml>. The words of HTML's chapters 7 to 11 and 15,
//! links and images; nothing that runs, that loads a style, or that a reader of HTML takes for something else than a
//! reader of XML does.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::primitive::scheme;

const NAMESPACE: &str = "http://www.w3.org/1999/xhtml";
const DEPTH_MAX: usize = 64;

const ELEMENTS: &[&str] = &[
    "a",
    "abbr",
    "acronym",
    "address",
    "area",
    "b",
    "bdo",
    "big",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "kbd",
    "li",
    "map",
    "ol",
    "p",
    "pre",
    "q",
    "samp",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "ul",
    "var",
];

/// Those that any element may have.
const ATTRIBUTES: &[&str] = &[
    "abbr",
    "accesskey",
    "align",
    "axis",
    "char",
    "charoff",
    "class",
    "colspan",
    "dir",
    "headers",
    "id",
    "idref",
    "lang",
    "rowspan",
    "scope",
    "span",
    "style",
    "tabindex",
    "title",
    "valign",
    "width",
    "xml:lang",
    "xmlns",
];

/// Those of one element.
const OWN: &[(&str, &[&str])] = &[
    ("a", &["charset", "coords", "href", "hreflang", "name", "rel", "rev", "shape", "type"]),
    ("area", &["alt", "coords", "href", "nohref", "shape"]),
    ("blockquote", &["cite"]),
    ("img", &["alt", "border", "height", "ismap", "longdesc", "src", "usemap"]),
    ("map", &["name"]),
    ("pre", &["space"]),
    ("q", &["cite"]),
    ("table", &["border", "cellpadding", "cellspacing", "frame", "rules", "summary"]),
    ("td", &["nowrap"]),
];

/// Attributes that are links.
const LINKS: &[&str] = &["href", "src", "cite", "longdesc"];
const SCHEMES: &[&str] = &["http", "https", "ftp", "mailto", "tel", "urn"];
/// In a style: what loads something or runs.
const LOADS: &[&str] = &["url(", "expression(", "javascript:", "@import", "behavior", "-moz-binding", "\\"];

/// What is wrong, and what to do.
type Wrong = (String, &'static str);

const WELL_FORMED: &str = "Send one well-formed XHTML element: <div xmlns=\"http://www.w3.org/1999/xhtml\">..</div>.";
const REMOVE: &str = "Remove it; a narrative may hold formatted text, tables, links and images only.";

/// Everything that is wrong with the text of a `div`.
pub(super) fn judge(text: &str) -> Vec<Wrong> {
    let mut walk = Walk::default();
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_comments = true;
    loop {
        match reader.read_event() {
            Ok(Event::Eof) => break,
            Ok(event) => walk.event(&event),
            Err(error) => {
                walk.wrong.push((format!("It is not well-formed XML at character {}: {error}.", reader.error_position()), WELL_FORMED));
                return walk.wrong;
            }
        }
    }
    walk.end();
    walk.wrong
}

#[derive(Default)]
struct Walk {
    wrong: Vec<Wrong>,
    depth: usize,
    roots: usize,
    /// Something to read, or an image, was met.
    content: bool,
}

impl Walk {
    fn say(&mut self, says: impl Into<String>, remedy: &'static str) {
        self.wrong.push((says.into(), remedy));
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Start(start) => {
                self.start(start);
                self.depth += 1;
                if self.depth == DEPTH_MAX + 1 {
                    self.say("The elements are nested too deep.", "Nest at most 64 levels.");
                }
            }
            Event::Empty(start) => self.start(start),
            Event::End(_) => self.depth = self.depth.saturating_sub(1),
            Event::Text(text) => self.text(text),
            Event::GeneralRef(name) => self.reference(name),
            Event::Comment(text) if text.starts_with('>') || text.starts_with("->") || text.contains("--!>") => {
                self.say("A comment that HTML would end early.", "Remove the comment.");
            }
            Event::Comment(_) | Event::Eof => {}
            Event::CData(_) => self.say("A CDATA section stands in it.", "Write the text with &lt; and &amp; instead."),
            Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {
                self.say("A declaration or processing instruction stands in it.", WELL_FORMED);
            }
        }
    }

    fn end(&mut self) {
        if self.depth > 0 {
            self.say("An element is not closed.", WELL_FORMED);
        }
        if self.roots != 1 {
            self.say("It is not one element.", WELL_FORMED);
        }
        if !self.content && self.wrong.is_empty() {
            self.say("There is nothing to read in it.", "Send a text or an image, or leave the narrative out.");
        }
    }

    fn text(&mut self, text: &str) {
        let empty = text.bytes().all(|b| b.is_ascii_whitespace());
        self.content |= !empty;
        if !empty && self.depth == 0 {
            self.say("Text stands outside the div.", WELL_FORMED);
        }
        if text.contains("]]>") {
            self.say("\"]]>\" stands in a text.", "Write ]]&gt; instead.");
        }
    }

    fn reference(&mut self, name: &BytesRef) {
        self.content = true;
        let known = match name.resolve_char_ref() {
            Ok(Some(found)) => found >= ' ' && !matches!(found, '\u{fffe}' | '\u{ffff}') || matches!(found, '\t' | '\n' | '\r'),
            Ok(None) => resolve_predefined_entity(name).is_some(),
            Err(_) => false,
        };
        if !known || self.depth == 0 {
            self.say("A reference to a character that XML does not have.", "Write the character itself, or its number: &#160;.");
        }
    }

    fn start(&mut self, start: &BytesStart) {
        let name = start.name().into_inner();
        self.content |= name == "img";
        if self.depth == 0 {
            self.roots += 1;
            let namespaced = start.try_get_attribute("xmlns").ok().flatten().is_some_and(|it| it.value == NAMESPACE);
            if name != "div" || !namespaced {
                self.say("The root is not a div in the namespace of XHTML.", WELL_FORMED);
            }
        }
        if !ELEMENTS.contains(&name) {
            self.say(format!("The element {} may not stand in a narrative.", super::issue::quoted(name)), REMOVE);
            return;
        }
        for attribute in start.attributes() {
            match attribute {
                Ok(attribute) => self.attribute(name, &attribute),
                Err(error) => self.say(format!("An attribute is not well-formed: {error}."), WELL_FORMED),
            }
        }
    }

    fn attribute(&mut self, element: &str, attribute: &Attribute) {
        let name = attribute.key.into_inner();
        let own = OWN.iter().any(|(it, names)| *it == element && names.contains(&name));
        if !own && !ATTRIBUTES.contains(&name) {
            let says = format!("The attribute {} may not stand at {element}.", super::issue::quoted(name));
            return self.say(says, REMOVE);
        }
        let Ok(value) = attribute.normalized_value(XmlVersion::Implicit1_0) else {
            return self.say(format!("The value of {name} is not well-formed."), WELL_FORMED);
        };
        if attribute.value.contains('<') {
            self.say(format!("A < stands in the value of {name}."), "Write &lt; instead.");
        }
        if name == "xmlns" && value != NAMESPACE {
            self.say("Another namespace than that of XHTML.", WELL_FORMED);
        }
        if LINKS.contains(&name) && !is_link(&value, element) {
            self.say(
                format!("The link in {name} is of a kind that may not stand here."),
                "Link by http, https, mailto, tel or #; an image may be data:image/..",
            );
        }
        let style = value.to_ascii_lowercase();
        if name == "style" && LOADS.iter().any(|word| style.contains(word)) {
            self.say("The style loads or runs something.", "Remove it; a style may set how text looks, and nothing more.");
        }
    }
}

/// A browser leaves out control characters and spaces before it looks for the scheme.
fn is_link(value: &str, element: &str) -> bool {
    let plain: String = value.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    if element == "img" && plain.starts_with("data:image/") {
        return true;
    }
    match scheme(&plain) {
        Some(scheme) => SCHEMES.contains(&scheme),
        // A colon behind the path, query or fragment names no scheme.
        None => plain.find(':').is_none_or(|colon| plain.find(['/', '?', '#']).is_some_and(|other| other < colon)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn div(inner: &str) -> Vec<Wrong> {
        judge(&format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{inner}</div>"))
    }

    #[test]
    fn formatted_text_is_fine() {
        let good = [
            "x",
            "<p>a &amp; b&#160;&#xA0;&lt;&gt;&quot;&apos;</p>",
            "<img src=\"#a\"/>",
            "<img src=\"http://a/b.png\" alt='\"'/>",
            "<br/>x",
            "<img src=\"data:image/png;base64,AA==\" width='1'/>",
            "<a name=\"x\" href=\"https://a/b?c=d&amp;e=f#g\">x</a>",
            "<table class=\"grid\" border='1' summary='s'><thead><tr><th scope=\"col\" colspan='2'>a</th></tr></thead><tbody><tr><td nowrap='n'>b</td></tr></tbody></table>",
            "<p style=\"color: red\" xml:lang='de' lang='de'>x</p><!-- c -->",
            "<a href=\"mailto:a@b\">m</a><a href='Patient/1#x:y'>p</a>",
            "&#160;",
            "<p xmlns=\"http://www.w3.org/1999/xhtml\">x</p>",
            "<img src='data:image/svg+xml,x'/>",
            "<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>",
            "a > b",
        ];
        for inner in good {
            assert!(div(inner).is_empty(), "{inner}: {:?}", div(inner));
        }
        assert!(judge(" <div xmlns='http://www.w3.org/1999/xhtml'>x</div>\n").is_empty());
    }

    const BAD: &[&str] = &[
        "",
        " \n",
        "<p/>",
        "<script>alert(1)</script>",
        "<p onclick=\"x()\">x</p>",
        "<a href=\"javascript:x()\">x</a>",
        "<a href=\"&#9;java&#10;script:x()\">x</a>",
        "<a href=\" JaVaScRiPt:x()\">x</a>",
        "<a href='vbscript:x'>x</a>",
        "<form>x</form>",
        "<a href=\"javascript&colon;x()\">x</a>",
        "<img src=\"data:text/html,x\"/>",
        "&nbsp;x",
        "<p title='&nbsp;'>x</p>",
        "<a href='data:image/png;base64,A'>x</a>",
        "<svg>x</svg>",
        "<style>x</style>x",
        "<p style=\"background:url(http://a)\">x</p>",
        "<p style=\"width:e\\78 pression(1)\">x</p>",
        "<iframe src='x'/>x",
        "<object>x</object>",
        "<p>x",
        "<p>x</b>",
        "</div><div>",
        "&unknown;x",
        "& x",
        "a < b",
        "<p a=b>x</p>",
        "<p title='a' title='b'>x</p>",
        "<![CDATA[x]]>",
        "<?php x ?>x",
        "<!--> <script>x</script> -->x",
        "<P>x</P>",
        "<x:p>x</x:p>",
        "<p title='<'>x</p>",
        "&#0;x",
        "&#1;x",
        "]]>",
        "<p xmlns='http://www.w3.org/2000/svg'>x</p>",
        "<div xmlns='http://www.w3.org/2000/svg'>x</div>",
        "<p title='&unknown;'>x</p>",
        "<body>x</body>",
        "<link href='x'/>x",
        "<td href='x'>x</td>",
        "<input/>x",
        "<a xlink:href='javascript:x'>x</a>",
        "<base href='x'/>x",
    ];

    #[test]
    fn anything_else_is_not() {
        for inner in BAD {
            assert!(!div(inner).is_empty(), "{inner}");
        }
        for text in [
            "x",
            "",
            "<div>x</div>",
            "<p xmlns=\"http://www.w3.org/1999/xhtml\">x</p>",
            "<div xmlns='http://www.w3.org/1999/xhtml'>x</div>y",
        ] {
            assert!(!judge(text).is_empty(), "{text}");
        }
        let doctype = "<!DOCTYPE div [<!ENTITY a \"b\">]><div xmlns='http://www.w3.org/1999/xhtml'>x</div>";
        assert!(!judge(doctype).is_empty() && !judge("<?xml version='1.0'?><div xmlns='http://www.w3.org/1999/xhtml'>x</div>").is_empty());
        assert!(!div(&format!("{}x{}", "<b>".repeat(10_000), "</b>".repeat(10_000))).is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in "(<|>|/|div|script|&|;|#|x|=|\"|'|!--|--|\\[CDATA\\[| ){0,30}") {
            let _ = judge(&text);
            let _ = div(&text);
        }
    }
}
