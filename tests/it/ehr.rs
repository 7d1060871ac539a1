//! `docs/ehr.md`: each of its lines is run as it stands there, and answers what the page says.

use std::fs;
use std::process::Command;

/// A block of the page, and the sentence below it.
struct Step<'p> {
    script: &'p str,
    says: &'p str,
}

impl Step<'_> {
    /// The status in bold at the head of the sentence.
    fn status(&self) -> &str {
        self.says.strip_prefix("**").and_then(|rest| rest.split("**").next()).unwrap_or_else(|| panic!("no status: {}", self.says))
    }

    /// What stands in backticks on the first line: it is in the answer.
    fn shown(&self) -> impl Iterator<Item = &str> {
        self.says.lines().next().unwrap_or_default().split('`').skip(1).step_by(2)
    }
}

fn steps(page: &str) -> Vec<Step<'_>> {
    let blocks = page.split("```sh\n").skip(1);
    let step = |block| {
        let (script, rest) = str::split_once(block, "```\n").expect("the end of a block");
        Step { script, says: rest.trim_start().split("\n\n").next().unwrap_or_default() }
    };
    blocks.map(step).collect()
}

/// The status of the last answer that `curl -i` showed.
fn status(output: &str) -> &str {
    let mut answers = output.lines().filter(|line| line.starts_with("HTTP/"));
    answers.next_back().and_then(|line| line.split(' ').nth(1)).unwrap_or_default()
}

fn has_curl() -> bool {
    let found = Command::new("curl").arg("--version").output().is_ok();
    assert!(found || std::env::var("CI").as_deref() != Ok("true"), "curl: skipped, it is not installed; in CI it must be there");
    found
}

both! {
    fn every_line_of_the_page_answers_what_it_says(server) {
        if !has_curl() {
            println!("curl: skipped, it is not installed");
            return;
        }
        let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ehr.md")).unwrap();
        let steps = steps(&page);
        assert!(steps.len() >= 12, "{} lines", steps.len());
        let script: String = steps.iter().map(|step| format!("{}\necho\necho ======\n", step.script)).collect();
        let folder = tempfile::tempdir().unwrap();
        let (ehr, _) = server.token(&["--role", "ehr-system"]);
        let (auditor, _) = server.token(&["--role", "auditor"]);
        let ran = Command::new("/bin/sh").args(["-euc", &script]).current_dir(folder.path())
            .env("FIRTH_URL", server.url()).env("FIRTH_EHR_TOKEN", ehr).env("FIRTH_AUDITOR_TOKEN", auditor)
            .output().unwrap();
        let (out, errors) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{out}\n{errors}");
        let answers: Vec<&str> = out.split("======\n").collect();
        for (step, answer) in steps.iter().zip(answers) {
            assert_eq!(status(answer), step.status(), "{}\n{answer}\n{errors}", step.script);
            for shown in step.shown() {
                assert!(answer.contains(shown), "no {shown} after\n{}\n{answer}", step.script);
            }
        }
    }
}
