//! The text of `src` as the rules read it: files without their tests, functions, literals, words.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of `src`: its path from the repository's root, its whole text, and the text without tests.
#[derive(Clone)]
pub struct Source {
    pub path: String,
    pub text: String,
    pub production: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned(), production: production(text) }
    }

    /// The room it is in: the first name below `src`.
    pub fn room(&self) -> &str {
        let rest = self.path.strip_prefix("src/").unwrap_or(&self.path);
        rest.split('/').next().unwrap_or(rest).trim_end_matches(".rs")
    }

    pub fn within(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path == *place || self.path.starts_with(&format!("{place}/")))
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            found.extend(files(&entry, ending));
        } else if entry.extension().is_some_and(|extension| extension == ending) {
            found.push(entry);
        }
    }
    found.sort();
    found
}

/// Every file of `src`. A module that is declared under `#[cfg(test)]` has no production text.
pub fn sources() -> Vec<Source> {
    let mut all: Vec<Source> = files(&root().join("src"), "rs")
        .into_iter()
        .map(|path| Source::new(&path.strip_prefix(root()).expect("below").to_string_lossy(), &fs::read_to_string(&path).expect("text")))
        .collect();
    let mut tests_only = Vec::new();
    for source in &all {
        for (line, next) in source.text.lines().zip(source.text.lines().skip(1)) {
            if let (true, Some(name)) =
                (line.trim() == "#[cfg(test)]", next.trim().strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')))
            {
                let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
                tests_only.push(format!("{folder}/{name}.rs"));
            }
        }
    }
    for source in all.iter_mut().filter(|source| tests_only.contains(&source.path)) {
        source.production.clear();
    }
    all
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// A line without what is said behind it: ` // ` that no literal holds.
fn code(line: &str) -> &str {
    let comment = line.match_indices(" // ").find(|(at, _)| line[..*at].matches('"').count().is_multiple_of(2));
    comment.map_or(line, |(at, _)| line[..at].trim_end())
}

/// Without items under `#[cfg(test)]`, and without comments. An item ends at the closing brace of its own
/// indentation, as rustfmt writes it.
pub fn production(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let depth = indent(line);
            let mut head = lines.next();
            while head.is_some_and(|line| line.trim().starts_with("#[")) {
                head = lines.next();
            }
            if head.is_some_and(|line| line.ends_with(['{', '(', '['])) {
                let ends = |line: &str| indent(line) == depth && line.trim_start().starts_with(['}', ')', ']']);
                let _ = lines.by_ref().find(|line| ends(line));
            }
        } else if !line.trim_start().starts_with("//") {
            out.push_str(code(line));
            out.push('\n');
        }
    }
    out
}

pub struct Function<'t> {
    pub name: &'t str,
    pub lines: usize,
    pub text: String,
}

impl Function<'_> {
    pub fn signature(&self) -> &str {
        let body = self.text.find(" {\n").unwrap_or(self.text.len());
        &self.text[..body]
    }

    /// Can nobody outside of its file call it?
    pub fn is_private(&self) -> bool {
        !self.text.trim_start().starts_with("pub")
    }
}

/// The name of the function whose head this line begins, whatever stands before `fn`.
fn head(line: &str) -> Option<&str> {
    const BEFORE: [&str; 6] = ["pub", "const", "async", "unsafe", "extern", "default"];
    let mut words = line.trim_start();
    loop {
        if let Some(after) = words.strip_prefix("fn ") {
            return after.split(|c: char| !is_of_a_word(c)).next();
        }
        let end = if words.starts_with("pub(") { words.find(')')? + 1 } else { words.find(' ')? };
        let known = BEFORE.contains(&&words[..end]) || words.starts_with("pub(") || words.starts_with('"');
        words = words[end..].strip_prefix(' ').filter(|_| known)?;
    }
}

/// The name of each function with a body, as rustfmt writes it, and its first and last line.
fn spans<'t>(lines: &[&'t str]) -> Vec<(&'t str, usize, usize)> {
    let mut found = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        let Some(name) = head(line) else { continue };
        let (depth, one_line) = (indent(line), line.ends_with(['}', ';']));
        // What a trait only demands has a head that ends with a semicolon.
        let parameters_end = lines[n + 1..].iter().find(|line| !line.is_empty() && indent(line) == depth);
        let demanded = line.ends_with(';') || (line.ends_with('(') && parameters_end.is_some_and(|line| line.ends_with(';')));
        let close = format!("{}}}", " ".repeat(depth));
        let end = if one_line { Some(n) } else { (n + 1..lines.len()).find(|end| lines[*end] == close) };
        found.extend(end.filter(|_| !demanded).map(|end| (name, n, end)));
    }
    found
}

/// Functions with a body.
pub fn functions(text: &str) -> Vec<Function<'_>> {
    let lines: Vec<&str> = text.lines().collect();
    let of_span = |(name, from, to)| Function { name, lines: to - from + 1, text: lines[from..=to].join("\n") + "\n" };
    spans(&lines).into_iter().map(of_span).collect()
}

/// What stands in no function: a `static` with a closure, a macro, a type. What is imported is not used yet.
pub fn outside(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let within = spans(&lines);
    let mut out = String::new();
    let mut imports = false;
    for (n, line) in lines.iter().enumerate() {
        imports |= is_import(line);
        if !imports && !within.iter().any(|(_, from, to)| (*from..=*to).contains(&n)) {
            out.push_str(line);
            out.push('\n');
        }
        imports &= !line.ends_with(';');
    }
    out
}

/// What is imported, one statement each.
pub fn imports(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let begin = lines.iter().enumerate().filter(|(_, line)| is_import(line)).map(|(n, _)| n);
    begin.map(|n| lines[n..].join("\n").split(';').next().unwrap_or_default().to_owned()).collect()
}

fn is_import(line: &str) -> bool {
    let words = line.trim_start();
    words.starts_with("use ") || (words.starts_with("pub") && words.contains(" use "))
}

/// An exception of a rule: the file and the function, and why it may.
pub type Exception = (&'static str, &'static str, &'static str);

/// The name under which a rule has what stands in no function.
pub const OUTSIDE: &str = "";

/// Who does in a file what `does` sees in a text: functions, and `OUTSIDE`.
pub fn doers(source: &Source, does: impl Fn(&str) -> bool) -> Vec<String> {
    let doing = functions(&source.production).into_iter().filter(|function| does(&function.text));
    let mut names: Vec<String> = doing.map(|function| function.name.to_owned()).collect();
    names.extend(does(&outside(&source.production)).then(|| OUTSIDE.to_owned()));
    names
}

/// Who does it without standing in the list: `FILE fn NAME`. Each exception is for one function: another of that name is
/// another.
pub fn not_excepted(source: &Source, exceptions: &[Exception], does: impl Fn(&str) -> bool) -> Vec<String> {
    let mut left: Vec<&str> = exceptions.iter().filter(|(path, ..)| *path == source.path).map(|(_, name, _)| *name).collect();
    let mut others = Vec::new();
    for name in doers(source, does) {
        match left.iter().position(|known| *known == name) {
            Some(known) => drop(left.swap_remove(known)),
            None if name == OUTSIDE => others.push(format!("{} outside of a function", source.path)),
            None => others.push(format!("{} fn {name}", source.path)),
        }
    }
    others
}

fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Does the text use this name? It stands by itself, is no field or method unless it begins with a dot, and is not defined
/// there.
pub fn says(text: &str, needle: &str) -> bool {
    text.match_indices(needle).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + needle.len()..]);
        let begins =
            !needle.starts_with(is_of_a_word) || !(before.ends_with(|c: char| is_of_a_word(c) || c == '.') || before.ends_with("fn "));
        begins && !(needle.ends_with(is_of_a_word) && after.starts_with(is_of_a_word))
    })
}

pub fn says_any(text: &str, needles: &[&str]) -> bool {
    needles.iter().any(|needle| says(text, needle))
}

/// The contents of string literals; good enough for text that rustfmt wrote.
pub fn literals(text: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(open) = rest.find(['"', '\'']) {
        let after = &rest[open + 1..];
        if rest[open..].starts_with('\'') {
            // '"' and '\'' are characters; a lifetime is not.
            let skip = if after.starts_with('\\') { 3 } else { after.chars().next().map_or(0, char::len_utf8) + 1 };
            rest = if after.get(skip - 1..skip) == Some("'") { &after[skip..] } else { after };
            continue;
        }
        let mut end = None;
        let mut escaped = false;
        for (at, c) in after.char_indices() {
            match c {
                '\\' if !escaped => escaped = true,
                '"' if !escaped => {
                    end = Some(at);
                    break;
                }
                _ => escaped = false,
            }
        }
        let Some(end) = end else { break };
        found.push(after[..end].to_owned());
        rest = &after[end + 1..];
    }
    found
}

/// Does the text name this path's head (`diesel::`) as a word of its own?
pub fn names(text: &str, head: &str) -> bool {
    text.match_indices(head).any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
}
