//! What was seen, by check and server.

use std::collections::BTreeMap;

/// What came of one check.
pub enum Outcome {
    Right,
    Wrong,
    /// The server cannot do what is tried.
    Cannot,
}

#[derive(Default)]
pub struct Table {
    servers: Vec<&'static str>,
    /// In the order in which they were first made.
    checks: Vec<String>,
    cells: BTreeMap<(String, &'static str), (String, Outcome)>,
}

impl Table {
    pub fn server(&mut self, name: &'static str) {
        self.servers.push(name);
    }

    /// Of the server that was named last.
    pub fn add(&mut self, check: String, seen: String, outcome: Outcome) {
        let server = *self.servers.last().expect("a server");
        let mark = match outcome {
            Outcome::Right => "",
            Outcome::Wrong => "  <-- WRONG",
            Outcome::Cannot => "  (cannot)",
        };
        println!("  {check}: {seen}{mark}");
        if !self.checks.contains(&check) {
            self.checks.push(check.clone());
        }
        self.cells.insert((check, server), (seen, outcome));
    }

    /// Prints it; whether all of it is right.
    pub fn print(&self) -> bool {
        println!("\n| | {} |\n|---|{}", self.servers.join(" | "), "---|".repeat(self.servers.len()));
        for check in &self.checks {
            let cell = |server: &&'static str| match self.cells.get(&(check.clone(), *server)) {
                Some((seen, Outcome::Right)) => seen.clone(),
                Some((seen, Outcome::Wrong)) => format!("**WRONG** {seen}"),
                Some((why, Outcome::Cannot)) => format!("– ({why})"),
                None => "–".to_owned(),
            };
            println!("| {check} | {} |", self.servers.iter().map(cell).collect::<Vec<_>>().join(" | "));
        }
        let count = |wanted: fn(&Outcome) -> bool| self.cells.values().filter(|(_, it)| wanted(it)).count();
        let wrong = count(|outcome| matches!(outcome, Outcome::Wrong));
        let right = count(|outcome| matches!(outcome, Outcome::Right));
        println!("\n{right} passed, {wrong} failed");
        wrong == 0
    }
}
