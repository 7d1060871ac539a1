//! RFC 6902: the examples of its appendix (A.13, a member that stands twice, is below), and what is refused.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::pointer::element;
use super::{Issue, json_patch};

const RFC: &str = include_str!("rfc6902.json");
const DOC: &str = r#"{"resourceType":"X","a":{"b":[10,{"c":"d"}],"e/f":null},"n":0.1000,"m":-0,"x":1E5,"y":12345678901234567890.10}"#;

fn told(issues: Vec<Issue>) -> (&'static str, String) {
    assert!(issues.iter().all(|it| !it.says.is_empty() && !it.remedy.is_empty()), "{issues:?}");
    let first = issues.into_iter().next().unwrap();
    (first.code, first.at)
}

fn patched(doc: &str, patch: &Value) -> Result<String, Vec<Issue>> {
    json_patch(doc, patch.to_string().as_bytes())
}

#[track_caller]
fn gives(patch: Value, wanted: &str) {
    assert_eq!(patched(DOC, &patch).unwrap(), wanted);
}

#[track_caller]
fn fails(patch: Value, code: &str, at: &str) {
    assert_eq!(told(patched(DOC, &patch).unwrap_err()), (code_of(code), element("X", at)), "{patch}");
}

fn code_of(code: &str) -> &'static str {
    ["invalid", "structure", "not-found", "processing", "too-costly"].into_iter().find(|it| *it == code).unwrap()
}

#[test]
fn the_examples_of_rfc_6902() {
    let cases: Vec<Value> = serde_json::from_str(RFC).unwrap();
    assert_eq!(cases.len(), 15);
    for case in cases {
        let found = patched(&case["doc"].to_string(), &case["patch"]);
        match case.get("gives") {
            Some(gives) => assert_eq!(found.unwrap(), gives.to_string(), "{case}"),
            None => {
                let (code, at) = told(found.unwrap_err());
                assert_eq!(json!([code, at]), case["fails"], "{case}");
            }
        }
    }
    let twice = br#"[{"op":"add","path":"/baz","value":"qux","op":"remove"}]"#;
    assert_eq!(told(json_patch(DOC, twice).unwrap_err()), ("structure", "[0].op".to_owned()));
}

#[test]
fn order_and_digits_are_kept() {
    gives(json!([]), DOC);
    let text = "{ \"z\" : \"\\u00e9\\n\\/\\u0001\", \"a\":[ 0.1000, -0,1E5 , 1e+5]}";
    assert_eq!(json_patch(text, b"[]").unwrap(), "{\"z\":\"\u{e9}\\n/\\u0001\",\"a\":[0.1000,-0,1E5,1e+5]}");
    let patch =
        br#"[{"op":"add","path":"/v","value":0.1000},{"op":"replace","path":"/m","value":1.50E+3},{"op":"copy","from":"/y","path":"/w"}]"#;
    assert_eq!(
        json_patch(DOC, patch).unwrap(),
        r#"{"resourceType":"X","a":{"b":[10,{"c":"d"}],"e/f":null},"n":0.1000,"m":1.50E+3,"x":1E5,"y":12345678901234567890.10,"v":0.1000,"w":12345678901234567890.10}"#
    );
    // Names that mean something to serde_json mean nothing here.
    let odd = r#"{"a":{"$serde_json::private::Number":"1"},"b":{"$serde_json::private::RawValue":"[]"}}"#;
    assert_eq!(json_patch(odd, b"[]").unwrap(), odd);
}

#[test]
fn tests_compare_as_the_rfc_says() {
    let same = br#"[{"op":"test","path":"/n","value":1e-1},{"op":"test","path":"/m","value":0.0},{"op":"test","path":"/x","value":100000},
        {"op":"test","path":"/a","value":{"e/f":null,"b":[1.0e1,{"c":"d"}]}},{"op":"test","path":"/a/e~1f","value":null}]"#;
    assert_eq!(json_patch(DOC, same).unwrap(), DOC);
    for value in [json!("0.1000"), json!(0.10000001), json!(null), json!([0.1]), json!(true)] {
        fails(json!([{"op": "test", "path": "/n", "value": value}]), "processing", "/n");
    }
    fails(json!([{"op": "test", "path": "/a/b", "value": [{"c": "d"}, 10]}]), "processing", "/a/b");
    fails(json!([{"op": "test", "path": "/a/b/1", "value": {"c": "d", "e": 1}}]), "processing", "/a/b/1");
    fails(json!([{"op": "test", "path": "/none", "value": null}]), "not-found", "/none");
}

#[test]
fn what_is_wrong_with_the_document_is_told_at_once() {
    let patch = json!([
        {"path": "/a"}, {"op": 1, "path": "/a"}, {"op": "Add", "path": "/a", "value": 1}, {"op": "add", "path": "/a"},
        {"op": "remove"}, {"op": "remove", "path": "a"}, {"op": "move", "path": "/a"}, {"op": "copy", "path": "/a", "from": "/~2"}, 7,
        {"op": "test", "path": null, "value": 1}, {"op": "add", "path": "/fine", "value": null},
    ]);
    let issues = patched(DOC, &patch).unwrap_err();
    let at: Vec<&str> = issues.iter().map(|it| it.at.as_str()).collect();
    assert_eq!(at, ["/0/op", "/1/op", "/2/op", "/3/value", "/4/path", "/5/path", "/6/from", "/7/from", "/8", "/9/path"]);
    assert!(issues.iter().all(|it| it.code == "invalid"));
    assert_eq!(issues[2].says, "Operation 2: \"Add\" is no operation of JSON Patch.");
    for text in ["", "{}", "1", "[", "[]]", "[{},]", "nul", "[{\"op\":\"\\ud800\"}]", "\u{feff}[]"] {
        assert_eq!(told(json_patch(DOC, text.as_bytes()).unwrap_err()).0, "structure", "{text}");
    }
    assert_eq!(told(json_patch(DOC, b"[\"\xff\"]").unwrap_err()).0, "structure");
    assert!(json_patch("[]", b"[]").is_err() && json_patch("{", b"[]").is_err());
}

#[test]
fn pointers_lead_to_what_is_there() {
    let remove = |path: &str| json!([{"op": "remove", "path": path}]);
    for (path, at) in [
        ("/none", "/none"),
        ("/a/none/deeper", "/a/none"),
        ("/a/b/2", "/a/b/2"),
        ("/a/b/01", "/a/b/01"),
        ("/a/b/-1", "/a/b/-1"),
        ("/a/b/-", "/a/b/-"),
        ("/a/b/0/x", "/a/b/0/x"),
        ("/n/0", "/n/0"),
        ("/a/e~1f/", "/a/e~1f/"),
        ("/", "/"),
    ] {
        fails(remove(path), "not-found", at);
        fails(json!([{"op": "replace", "path": path, "value": 1}]), "not-found", at);
        fails(json!([{"op": "copy", "from": path, "path": "/new"}]), "not-found", at);
    }
    for path in ["/a/b/3", "/a/b/01", "/a/b/-1", "/a/b/1e0", "/a/b/x"] {
        fails(json!([{"op": "add", "path": path, "value": 1}]), "not-found", path);
    }
    fails(json!([{"op": "add", "path": "/n/x", "value": 1}]), "not-found", "/n/x");
    let says = patched(DOC, &json!([{"op": "test", "path": "/n", "value": 0.1}, {"op": "remove", "path": "/a/b/7"}])).unwrap_err();
    assert_eq!(says[0].says, "Operation 1 (remove): Nothing stands at the pointer; in /a/b are 2 entries, counted from 0.");
    gives(
        json!([{"op": "add", "path": "/a/b/2", "value": 2}, {"op": "add", "path": "/a/b/0", "value": 0}, {"op": "remove", "path": "/a/b/2"},
            {"op": "remove", "path": "/a/e~1f"}, {"op": "add", "path": "/a/b/-", "value": 3}]),
        r#"{"resourceType":"X","a":{"b":[0,10,2,3]},"n":0.1000,"m":-0,"x":1E5,"y":12345678901234567890.10}"#,
    );
}

#[test]
fn the_root_can_be_replaced_but_not_lost() {
    for op in ["add", "replace"] {
        gives(json!([{"op": op, "path": "", "value": {"b": 1}}]), r#"{"b":1}"#);
    }
    gives(json!([{"op": "copy", "from": "/a", "path": ""}]), r#"{"b":[10,{"c":"d"}],"e/f":null}"#);
    gives(json!([{"op": "move", "from": "/a/b/1", "path": ""}]), r#"{"c":"d"}"#);
    gives(json!([{"op": "move", "from": "", "path": ""}]), DOC);
    fails(json!([{"op": "remove", "path": ""}]), "processing", "");
    let no_resource = patched(DOC, &json!([{"op": "replace", "path": "", "value": []}]));
    assert_eq!(told(no_resource.unwrap_err()), ("invalid", String::new()));
    fails(json!([{"op": "move", "from": "", "path": "/a"}]), "processing", "/a");
    fails(json!([{"op": "move", "from": "/a", "path": "/a/b/0"}]), "processing", "/a/b/0");
    gives(
        json!([{"op": "move", "from": "/a/b/0", "path": "/a/b/0"}, {"op": "copy", "from": "", "path": "/a"}, {"op": "replace", "path": "/a", "value": 1}]),
        r#"{"resourceType":"X","a":1,"n":0.1000,"m":-0,"x":1E5,"y":12345678901234567890.10}"#,
    );
    fails(json!([{"op": "move", "from": "/none", "path": "/none"}]), "not-found", "/none");
}

#[test]
fn bombs_are_refused() {
    let many = |n: usize| Value::Array(vec![json!({"op": "test", "path": "", "value": {}}); n]);
    assert_eq!(told(patched("{}", &many(1001)).unwrap_err()).0, "too-costly");
    assert_eq!(patched("{}", &many(1000)).unwrap(), "{}");
    let repeated = |op: Value| Value::Array(vec![op; 1000]);
    let big = format!("{{\"a\":[\"{}\"]}}", "x".repeat(1 << 16));
    // In width, by depth, of many small values, and of nothing but work.
    for (doc, op) in [
        (big.as_str(), json!({"op": "copy", "from": "/a", "path": "/a/-"})),
        (big.as_str(), json!({"op": "copy", "from": "/a", "path": "/a/0"})),
        ("{\"a\":{}}", json!({"op": "copy", "from": "/a", "path": "/a/b"})),
    ] {
        assert_eq!(told(patched(doc, &repeated(op)).unwrap_err()).0, "too-costly");
    }
    let doubling = |from: &str, doc: &str| {
        let ops: Vec<Value> = (0..60).map(|n| json!({"op": "copy", "from": from, "path": format!("/a/m{n}")})).collect();
        told(patched(doc, &Value::Array(ops)).unwrap_err())
    };
    assert_eq!(doubling("/a", "{\"a\":{\"b\":[0,0,0]}}").0, "too-costly");
    assert_eq!(doubling("", "{\"a\":{\"b\":[0,0,0]}}").0, "too-costly");
    let wide = format!("{{\"a\":[{}0]}}", "0,".repeat(1_000_000));
    let at_front = json!({"op": "move", "from": "/a/999999", "path": "/a/0"});
    assert_eq!(told(patched(&wide, &repeated(at_front)).unwrap_err()).0, "too-costly");
    let deep = |n: usize| format!("[{{\"op\":\"add\",\"path\":\"/a\",\"value\":{}{}}}]", "[".repeat(n), "]".repeat(n));
    assert!(json_patch("{}", deep(63).as_bytes()).is_ok());
    for n in [64, 65, 100_000] {
        assert_eq!(told(json_patch("{}", deep(n).as_bytes()).unwrap_err()).0, "too-costly", "{n}");
    }
    // Much that fits is let pass.
    let text = "x".repeat(1 << 20);
    let fits = json!([{"op": "add", "path": "/b", "value": text}, {"op": "copy", "from": "/b", "path": "/c"}]);
    assert!(patched(&big, &fits).is_ok_and(|it| it.len() > 2 << 20));
}

/// Trees of a few names, so that pointers meet something.
fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-c~/\"\u{e9}\n]{0,3}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let object = prop::collection::vec(("[a-c~/]{0,2}", inner.clone()), 0..4).prop_map(|all| Value::Object(all.into_iter().collect()));
        prop_oneof![prop::collection::vec(inner, 0..4).prop_map(Value::Array), object]
    })
}

fn pointers(of: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match of {
        Value::Array(all) => all.iter().enumerate().for_each(|(n, it)| pointers(it, &format!("{at}/{n}"), out)),
        Value::Object(all) => {
            all.iter().for_each(|(name, it)| pointers(it, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), out));
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(patch in prop::collection::vec(any::<u8>(), 0..60), near in r#"\[\{"op":"(add|move|test)","(path|from)":"[/a~01-]{0,4}","value":[0-9eE.\[\]{}]{0,4}\}\]"#) {
        for patch in [patch.as_slice(), near.as_bytes()] {
            if let Err(issues) = json_patch(DOC, patch) {
                prop_assert!(!issues.is_empty());
            }
        }
    }

    #[test]
    fn a_patch_and_its_inverse_change_nothing(doc in tree(), value in tree(), pick in any::<prop::sample::Index>()) {
        let doc = json!({"r": doc});
        let text = doc.to_string();
        let mut all = Vec::new();
        pointers(&doc["r"], "/r", &mut all);
        let path = pick.get(&all).as_str();
        let old = doc.pointer(path).unwrap();
        let forth_and_back = json!([{"op": "replace", "path": path, "value": value}, {"op": "test", "path": path, "value": value}, {"op": "replace", "path": path, "value": old}]);
        prop_assert_eq!(patched(&text, &forth_and_back).unwrap(), text.clone());
        let there_and_back = json!([{"op": "copy", "from": path, "path": "/new"}, {"op": "test", "path": "/new", "value": old}, {"op": "move", "from": "/new", "path": "/newer"}, {"op": "remove", "path": "/newer"}]);
        prop_assert_eq!(patched(&text, &there_and_back).unwrap(), text.clone());
        // Out and in again: an array keeps its order, an object has the member last.
        let taken = json!([{"op": "move", "from": path, "path": "/taken"}, {"op": "move", "from": "/taken", "path": path}, {"op": "test", "path": "", "value": doc}]);
        prop_assert!(patched(&text, &taken).is_ok());
    }
}
