//! A browser without script: it keeps cookies, fills in forms, and goes where it is sent only when it is told to.

use std::sync::Mutex;

use super::http::{Reply, call};
use super::server::{TestServer, lock};

/// One browser, of one person.
pub struct Browser<'s> {
    pub server: &'s TestServer,
    cookies: Mutex<Vec<(String, String)>>,
}

/// A page, with its forms.
#[derive(Clone, Debug)]
pub struct Page {
    pub reply: Reply,
}

/// A form as it stands on a page.
#[derive(Clone, Debug, Default)]
pub struct Form {
    pub action: String,
    /// The values that the browser would send without anybody touching anything; unticked boxes are not among them.
    pub fields: Vec<(String, String)>,
    /// Names and values of its buttons.
    pub buttons: Vec<(String, String)>,
}

impl TestServer {
    pub fn browser(&self) -> Browser<'_> {
        Browser { server: self, cookies: Mutex::default() }
    }
}

impl Browser<'_> {
    #[track_caller]
    pub fn get(&self, path: &str) -> Page {
        self.send("GET", path, &[], None)
    }

    #[track_caller]
    pub fn send(&self, verb: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Page {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.server.url()) };
        assert!(url.starts_with(&self.server.url()), "the browser was to leave the server: {url}");
        let mut all: Vec<(String, String)> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let cookies: Vec<String> = lock(&self.cookies).iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            all.push(("cookie".into(), cookies.join("; ")));
        }
        if body.is_some() && !headers.iter().any(|(name, _)| *name == "content-type") {
            all.push(("content-type".into(), "application/x-www-form-urlencoded".into()));
        }
        let reply =
            call(verb, &url, &all, body.map(str::as_bytes)).unwrap_or_else(|e| panic!("{verb} {url}: {e}\n{}", self.server.log_end()));
        for (_, set) in reply.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = set.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie");
            self.put_cookie(name, value);
        }
        Page { reply }
    }

    pub fn cookie(&self) -> Option<(String, String)> {
        lock(&self.cookies).first().cloned()
    }

    pub fn put_cookie(&self, name: &str, value: &str) {
        let mut cookies = lock(&self.cookies);
        cookies.retain(|(known, _)| known != name);
        cookies.push((name.to_owned(), value.to_owned()));
        if value.len() > 20 {
            self.server.plant(value);
        }
    }

    /// Sends a form as it stands on the page, with these fields put in and this button pressed.
    #[track_caller]
    pub fn submit(&self, form: &Form, fields: &[(&str, &str)], button: Option<(&str, &str)>) -> Page {
        self.send("POST", &form.action, &[], Some(&form.body(fields, button)))
    }

    /// Fills in the page of sign-in.
    #[track_caller]
    pub fn sign_in(&self, page: &Page, name: &str, password: &str) -> Page {
        self.submit(&page.form("/sign-in"), &[("name", name), ("password", password)], None)
    }

    /// Signs in to the person's own account.
    #[track_caller]
    pub fn signs_in(&self, name: &str, password: &str) -> Page {
        let page = self.sign_in(&self.get("/sign-in"), name, password);
        assert_eq!((page.reply.status, page.reply.header("location")), (303, Some("/account")), "{}", page.reply.text());
        page
    }
}

impl Form {
    pub fn body(&self, fields: &[(&str, &str)], button: Option<(&str, &str)>) -> String {
        let mut all: Vec<(String, String)> = self.fields.clone();
        for (name, value) in fields {
            all.retain(|(known, _)| known != name);
            all.push(((*name).to_owned(), (*value).to_owned()));
        }
        all.extend(button.map(|(name, value)| (name.to_owned(), value.to_owned())));
        encoded(&all)
    }

    /// Without this value of a box.
    pub fn unticked(&self, value: &str) -> Form {
        let mut form = self.clone();
        let before = form.fields.len();
        form.fields.retain(|(_, known)| known != value);
        assert_eq!(form.fields.len() + 1, before, "there is no box {value}: {:?}", self.fields);
        form
    }

    pub fn values(&self, name: &str) -> Vec<String> {
        self.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect()
    }
}

pub fn encoded(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect::<Vec<_>>().join("&")
}

pub fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The parameters of a URI's query, decoded.
pub fn parameters(uri: &str) -> Vec<(String, String)> {
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (unescaped(name), unescaped(value)))
        .collect()
}

fn unescaped(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).expect("digits"), 16).expect("digits"));
            rest = &after[2..];
        } else {
            bytes.push(if *byte == b'+' { b' ' } else { *byte });
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

impl Page {
    #[track_caller]
    pub fn is(self, status: u16) -> Page {
        assert_eq!(self.reply.status, status, "{}", self.reply.text());
        self
    }

    pub fn text(&self) -> String {
        self.reply.text()
    }

    /// The page's heading.
    #[track_caller]
    pub fn heading(&self) -> String {
        let text = self.text();
        let (_, rest) = text.split_once("<h1>").unwrap_or_else(|| panic!("no heading: {text}"));
        plain(rest.split("</h1>").next().unwrap_or_default())
    }

    /// What stands in the list of faults.
    pub fn faults(&self) -> Vec<String> {
        let text = self.text();
        let Some((_, summary)) = text.split_once("class=\"summary\"") else { return Vec::new() };
        let summary = summary.split("</div>").next().unwrap_or_default();
        summary.split("<li>").skip(1).map(|item| plain(&bare(item.split("</li>").next().unwrap_or_default()))).collect()
    }

    /// The first form that is sent there.
    #[track_caller]
    pub fn form(&self, action: &str) -> Form {
        let forms = self.forms();
        forms
            .iter()
            .find(|form| form.action == action)
            .cloned()
            .unwrap_or_else(|| panic!("no form to {action}: {} {}", self.reply.status, self.text()))
    }

    /// The form that has this button.
    #[track_caller]
    pub fn form_with(&self, button: (&str, &str)) -> Form {
        let has = |form: &&Form| form.buttons.iter().any(|(name, value)| (name.as_str(), value.as_str()) == button);
        self.forms().iter().find(has).cloned().unwrap_or_else(|| panic!("no button {button:?}: {}", self.text()))
    }

    pub fn forms(&self) -> Vec<Form> {
        let text = self.text();
        let whole = text.split("<form ").skip(1).map(|form| form.split("</form>").next().unwrap_or_default());
        whole.map(read).collect()
    }

    /// Where the browser is sent, and with which parameters.
    #[track_caller]
    pub fn sent_to(&self) -> (String, Vec<(String, String)>) {
        assert_eq!(self.reply.status, 303, "{}", self.text());
        let to = self.reply.header("location").expect("a location").to_owned();
        (to.split('?').next().unwrap_or_default().to_owned(), parameters(&to))
    }

    /// One parameter of where it is sent.
    #[track_caller]
    pub fn told(&self, name: &str) -> String {
        let (_, all) = self.sent_to();
        let found: Vec<&String> = all.iter().filter(|(known, _)| known == name).map(|(_, value)| value).collect();
        assert_eq!(found.len(), 1, "{name} in {all:?}");
        found[0].clone()
    }
}

fn read(form: &str) -> Form {
    let mut read = Form { action: attribute(form, "action").unwrap_or_default(), ..Form::default() };
    for tag in form.split('<').skip(1).map(|tag| tag.split('>').next().unwrap_or_default()) {
        let pair = || (attribute(tag, "name").unwrap_or_default(), attribute(tag, "value").unwrap_or_default());
        if tag.starts_with("input ") {
            let kind = attribute(tag, "type").unwrap_or_default();
            if (kind != "checkbox" || tag.ends_with(" checked")) && !pair().0.is_empty() {
                read.fields.push(pair());
            }
        } else if tag.starts_with("button ") {
            read.buttons.push(pair());
        }
    }
    read
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) =
        tag.split_once(&format!(" {name}=\"")).or_else(|| tag.split_once(&format!("{name}=\"")).filter(|(before, _)| before.is_empty()))?;
    Some(plain(rest.split('"').next().unwrap_or_default()))
}

/// Without tags.
fn bare(html: &str) -> String {
    html.split('<').enumerate().map(|(n, part)| if n == 0 { part } else { part.split_once('>').map_or("", |(_, text)| text) }).collect()
}

fn plain(text: &str) -> String {
    let mut text = text.to_owned();
    for (entity, letter) in [
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, letter);
    }
    text
}
