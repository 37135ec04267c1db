//! `docs/performance.md`: the tables between its markers, and the plots beside it.

use std::{fs, path::Path};

use crate::{
    contender::Contender,
    findings::{Comparison, Findings},
    plot::{Bar, Plot, Row},
    rig::ROOT,
    statistics::Spread,
};

/// What stands between these lines is written by this program.
const BEGIN: &str = "<!-- begin of figures -->";
const END: &str = "<!-- end of figures -->";

const COLUMNS: &str = "CPU time of the Envoy process per request, ratio to the router alone";

pub fn write(findings: &Findings) {
    let docs = Path::new(ROOT).join("docs");
    let plots = [
        ("performance-one-worker.svg", ratios(findings, "One Envoy worker", &["hot", "thousand", "many"])),
        (
            "performance-two-workers.svg",
            ratios(findings, "Two Envoy workers", &["hot-2", "thousand-2", "many-2"]),
        ),
        ("performance-latency.svg", latencies(findings)),
    ];
    let mut figures = String::new();
    for (file, plot) in plots {
        let Some(plot) = plot else { continue };
        fs::write(docs.join(file), plot.svg()).expect("a plot, written");
        figures.push_str(&format!("![{}: {}]({file})\n\n", plot.title, plot.axis));
    }
    figures.push_str(&findings.to_string());

    let page = docs.join("performance.md");
    let text = fs::read_to_string(&page).expect("docs/performance.md");
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.expect("the markers of figures in docs/performance.md");
    let text = format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", figures.trim_end());
    fs::write(&page, text).expect("docs/performance.md, written");
}

/// Ratios to the router in scenarios that differ by the number of tokens; `None` if one of them was not run.
fn ratios(findings: &Findings, title: &str, scenarios: &[&str]) -> Option<Plot> {
    let comparisons: Vec<&Comparison> =
        scenarios.iter().map(|name| comparison(findings, name)).collect::<Option<_>>()?;
    let bar = |contender: Contender, comparison: &Comparison| {
        let series = comparison.series.iter().find(|series| series.contender == contender)?;
        let ratio = series.ratio(comparison.router()?);
        let cpu = Spread::of(series.cpu.iter().copied()).median;
        let text = format!("{:.2} ({cpu:.0} µs)", ratio.median);
        Some(Bar { value: ratio.median, range: Some((ratio.q1, ratio.q3)), text })
    };
    let of_all = |contender: Contender| {
        let bars = comparisons.iter().map(|comparison| bar(contender, comparison)).collect::<Option<_>>()?;
        Some(Row { title: contender.title().into_owned(), bars })
    };
    let tokens = |comparison: &&Comparison| match comparison.scenario.tokens {
        1 => "one hot token".to_owned(),
        thousands => format!("{},000 tokens", thousands / 1000),
    };
    Some(Plot {
        title: title.to_owned(),
        axis: COLUMNS.to_owned(),
        series: comparisons.iter().map(tokens).collect(),
        rows: Contender::ALL.into_iter().filter_map(of_all).collect(),
    })
}

fn latencies(findings: &Findings) -> Option<Plot> {
    let comparison = comparison(findings, "one-connection")?;
    let bar = |figures: &Vec<f64>| {
        let Spread { q1, median, q3 } = Spread::of(figures.iter().copied());
        Bar { value: median, range: Some((q1, q3)), text: format!("{median:.0} µs") }
    };
    let rows = comparison.series.iter().map(|series| Row {
        title: series.contender.title().into_owned(),
        bars: vec![bar(&series.p50), bar(&series.p99)],
    });
    Some(Plot {
        title: "One connection, one hot token".to_owned(),
        axis: "latency through Envoy to the upstream and back, µs".to_owned(),
        series: vec!["p50".to_owned(), "p99".to_owned()],
        rows: rows.collect(),
    })
}

fn comparison<'f>(findings: &'f Findings, name: &str) -> Option<&'f Comparison> {
    findings.comparisons.iter().find(|comparison| comparison.scenario.name == name)
}
