//! Files that hold a case: a sentence, parts under headings, and last what the tool says.

use std::fs;
use std::path::{Path, PathBuf};

/// A case as its file has it.
pub(crate) struct Case {
    file: PathBuf,
    text: String,
    /// Heading and part.
    pub(crate) parts: Vec<(String, String)>,
}

const LAST: &str = "check says";

/// The cases of a folder under `tests/tool`.
pub(crate) fn cases(folder: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tool").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(Case::read).collect()
}

/// Every line of what was said of a file names a place in it, where something stands.
pub(crate) fn points_into(text: &str, said: &str) {
    let lines: Vec<&str> = text.lines().collect();
    for finding in said.lines().filter(|line| line.contains(": error: ") || line.contains(": warning: ")) {
        let mut parts = finding.split(':').skip(1).map_while(|part| part.parse::<usize>().ok());
        let (line, column) = (parts.next().expect(finding), parts.next().expect(finding));
        let there = lines[line - 1].chars().nth(column - 1);
        assert!(there.is_some_and(|c| !c.is_whitespace()), "{finding}");
    }
}

impl Case {
    fn read(file: PathBuf) -> Self {
        let text = fs::read_to_string(&file).unwrap();
        let mut parts: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            match (line.strip_prefix("=== "), parts.last_mut()) {
                (Some(heading), _) => parts.push((heading.to_owned(), String::new())),
                (None, Some((_, part))) => *part += &format!("{line}\n"),
                (None, None) => {}
            }
        }
        assert_eq!(parts.last().expect("parts").0, LAST, "{}", file.display());
        Self { file, text, parts }
    }

    pub(crate) fn name(&self) -> &str {
        self.file.file_stem().unwrap().to_str().unwrap()
    }

    /// Compares what was said with what the case expects, or writes it down. Whether it is the same.
    pub(crate) fn is_said(&self, said: &str) -> bool {
        let (before, expected) = self.text.split_once(&format!("=== {LAST}\n")).unwrap();
        if std::env::var_os("BLESS").is_some() {
            fs::write(&self.file, format!("{before}=== {LAST}\n{said}")).unwrap();
            return true;
        }
        if expected != said {
            eprintln!("{}\nexpected:\n{expected}\nsaid:\n{said}", self.file.display());
        }
        expected == said
    }
}
