//! The tests, one after the other, each told in plain words as it ends.

use std::{future::Future, process::ExitCode, time::Instant};

/// Those that were chosen, and what came of them.
pub struct Rows {
    words: Vec<String>,
    right: usize,
    wrong: Vec<&'static str>,
}

impl Rows {
    /// Of tests that have one of the `words` in their names; of all, where there is no word.
    pub fn new(words: Vec<String>) -> Self {
        Self { words, right: 0, wrong: Vec::new() }
    }

    /// One test. A panic makes it wrong, and ends what it started.
    pub async fn row(&mut self, says: &'static str, test: impl Future<Output = ()> + 'static) {
        if !self.words.is_empty() && !self.words.iter().any(|word| says.contains(word)) {
            return;
        }
        let start = Instant::now();
        let is_right = tokio::task::spawn_local(test).await.is_ok();
        let verdict = if is_right { "ok" } else { "FAILED" };
        println!("  {verdict:6} {says} ({:.1} s)", start.elapsed().as_secs_f64());
        match is_right {
            true => self.right += 1,
            false => self.wrong.push(says),
        }
    }

    pub fn exit_code(self) -> ExitCode {
        println!("{} right, {} wrong", self.right, self.wrong.len());
        self.wrong.iter().for_each(|says| println!("  wrong: {says}"));
        if self.wrong.is_empty() && self.right > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
