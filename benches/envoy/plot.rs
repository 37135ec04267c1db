//! Horizontal bars as SVG, legible on light and on dark ground.

use std::fmt::{self, Write};

/// A row for each contender, in each row a bar for each series.
pub struct Plot {
    pub title: String,
    /// What is on the axis, with its unit.
    pub axis: String,
    /// What the bars of a row are, in order.
    pub series: Vec<String>,
    pub rows: Vec<Row>,
}

pub struct Row {
    pub title: String,
    pub bars: Vec<Bar>,
}

pub struct Bar {
    pub value: f64,
    /// A thin line from one to the other.
    pub range: Option<(f64, f64)>,
    /// What stands behind the bar.
    pub text: String,
}

const WIDTH: f64 = 860.0;
/// Where bars begin.
const LEFT: f64 = 240.0;
/// Room for the text behind the longest bar.
const RIGHT: f64 = 150.0;
const BAR: f64 = 14.0;
const GAP: f64 = 14.0;
const HEAD: f64 = 62.0;
const FOOT: f64 = 52.0;

/// Colours that stand out on white and on black; browsers that know which it is get text to match.
const STYLE: &str = "
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 }
.small { font-size: 12px }
.grid { stroke: #8c959f; stroke-opacity: .35 }
.range { stroke: #24292f; stroke-width: 1.5 }
.s0 { fill: #2f81f7 } .s1 { fill: #db8b00 } .s2 { fill: #8a63d2 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .range { stroke: #e6edf3 } }
";

impl Plot {
    pub fn svg(&self) -> String {
        let mut svg = String::new();
        self.write(&mut svg).expect("writing to a string");
        svg
    }

    fn write(&self, svg: &mut String) -> fmt::Result {
        let row_height = |row: &Row| row.bars.len() as f64 * BAR + GAP;
        let bottom = HEAD + self.rows.iter().map(row_height).sum::<f64>();
        let height = bottom + FOOT;
        let step = step(self.longest());
        let end = (self.longest() / step).ceil() * step;
        let x = |value: f64| LEFT + value / end * (WIDTH - LEFT - RIGHT);

        writeln!(
            svg,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">"#
        )?;
        writeln!(svg, "<title>{}</title>\n<style>{STYLE}</style>", escaped(&self.title))?;
        writeln!(svg, r#"<text class="title" x="8" y="22">{}</text>"#, escaped(&self.title))?;
        self.write_legend(svg)?;

        for tick in 0..=(end / step).round() as usize {
            let value = tick as f64 * step;
            let (x, below) = (x(value), bottom + 18.0);
            writeln!(svg, r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="{HEAD}" y2="{bottom}"/>"#)?;
            let label = if step < 1.0 { format!("{value:.1}") } else { format!("{value:.0}") };
            writeln!(
                svg,
                r#"<text class="small" x="{x:.1}" y="{below}" text-anchor="middle">{label}</text>"#
            )?;
        }
        let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
        let (below, axis) = (bottom + 40.0, escaped(&self.axis));
        writeln!(svg, r#"<text x="{middle}" y="{below}" text-anchor="middle">{axis}</text>"#)?;

        let mut top = HEAD;
        for row in &self.rows {
            let (right, center) = (LEFT - 8.0, top + row_height(row) / 2.0 + 4.0);
            writeln!(
                svg,
                r#"<text x="{right}" y="{center}" text-anchor="end">{}</text>"#,
                escaped(&row.title)
            )?;
            for (series, bar) in row.bars.iter().enumerate() {
                let top = top + GAP / 2.0 + series as f64 * BAR;
                write_bar(svg, bar, series, top, &x)?;
            }
            top += row_height(row);
        }
        writeln!(svg, "</svg>")
    }

    fn write_legend(&self, svg: &mut String) -> fmt::Result {
        if self.series.len() < 2 {
            return Ok(());
        }
        let mut x = LEFT;
        for (series, title) in self.series.iter().enumerate() {
            let text = x + 18.0;
            writeln!(svg, r#"<rect class="s{series}" x="{x}" y="36" width="12" height="12"/>"#)?;
            writeln!(svg, r#"<text class="small" x="{text}" y="46">{}</text>"#, escaped(title))?;
            x = text + 8.0 * title.chars().count() as f64 + 16.0;
        }
        Ok(())
    }

    fn longest(&self) -> f64 {
        let bars = self.rows.iter().flat_map(|row| &row.bars);
        bars.map(|bar| bar.range.map_or(bar.value, |(_, high)| high.max(bar.value)))
            .fold(f64::MIN_POSITIVE, f64::max)
    }
}

fn write_bar(svg: &mut String, bar: &Bar, series: usize, top: f64, x: &dyn Fn(f64) -> f64) -> fmt::Result {
    let (width, height) = (x(bar.value) - LEFT, BAR - 3.0);
    writeln!(svg, r#"<rect class="s{series}" x="{LEFT}" y="{top}" width="{width:.1}" height="{height}"/>"#)?;
    let mut behind = x(bar.value);
    if let Some((low, high)) = bar.range {
        let (low, high, middle) = (x(low), x(high), top + height / 2.0);
        writeln!(svg, r#"<line class="range" x1="{low:.1}" x2="{high:.1}" y1="{middle}" y2="{middle}"/>"#)?;
        behind = behind.max(high);
    }
    let (behind, base) = (behind + 6.0, top + height - 1.0);
    writeln!(svg, r#"<text class="small" x="{behind:.1}" y="{base}">{}</text>"#, escaped(&bar.text))
}

/// A round distance of ticks: four to ten of them up to `longest`.
fn step(longest: f64) -> f64 {
    let power = 10_f64.powf(longest.log10().floor());
    let steps = [0.1, 0.2, 0.5, 1.0].map(|part| part * power);
    steps.into_iter().find(|step| longest / step <= 10.0).unwrap_or(power)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
