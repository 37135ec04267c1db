//! From a file to its documents, by the events of a YAML parser.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput};

use super::scalar::Scalar;
use super::{Content, Entry, Node, Position};

/// Why a file is no YAML, and where.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) at: Position,
    pub(crate) reason: String,
}

/// The documents of a file; those that are empty are left out.
pub(crate) fn documents(text: &str) -> Result<Vec<Node>, Broken> {
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0 };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(documents),
            (Event::DocumentStart(_), _) => {
                let event = reader.next()?;
                let node = reader.node(event, 0)?;
                if node.text() != Some("") {
                    documents.push(node);
                }
            }
            _ => {}
        }
    }
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    /// How many there are so far.
    nodes: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Broken> {
        let end = || Broken { at: Position::default(), reason: "the file ends too early".to_owned() };
        let event = self.parser.next_event().ok_or_else(end)?;
        event.map_err(|error| Broken { at: position(error.marker()), reason: error.info().to_owned() })
    }

    /// The node that begins with this event.
    fn node(&mut self, (event, span): (Event<'t>, Span), depth: usize) -> Result<Node, Broken> {
        let at = position(&span.start);
        let too = |what: &str| Broken { at, reason: format!("too {what}") };
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(too("large"));
        }
        if depth > MAX_DEPTH {
            return Err(too("deep"));
        }
        let (content, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let text = text.into_owned();
                let scalar = match style {
                    ScalarStyle::Plain => Scalar::Plain(text),
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted | ScalarStyle::Folded => {
                        Scalar::Quoted(text)
                    }
                    ScalarStyle::Literal => Scalar::Literal(text),
                };
                (Content::Scalar(scalar), anchor)
            }
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        event => items.push(self.node(event, depth + 1)?),
                    }
                }
                (Content::List(items), anchor)
            }
            Event::MappingStart(anchor, _) => {
                let mut entries = Vec::new();
                loop {
                    match self.next()? {
                        (Event::MappingEnd, _) => break,
                        event => entries.push(self.entry(event, depth + 1)?),
                    }
                }
                (Content::Map(entries), anchor)
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| Broken { at, reason: "an alias of nothing".to_owned() })?;
                self.nodes += size(&node);
                return Ok(Node { at, ..node });
            }
            _ => return Err(Broken { at, reason: "expected a value".to_owned() }),
        };
        let node = Node { at, content };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn entry(&mut self, key: (Event<'t>, Span), depth: usize) -> Result<Entry, Broken> {
        let key = self.node(key, depth)?;
        let no_text = || Broken { at: key.at, reason: "expected a text as a key".to_owned() };
        let text = key.text().ok_or_else(no_text)?.to_owned();
        let value = self.next()?;
        let value = self.node(value, depth)?;
        Ok(Entry { key: text, at: key.at, value })
    }
}

fn size(node: &Node) -> usize {
    1 + node.children().map(size).sum::<usize>()
}

fn position(marker: &Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

/// Aliases of aliases would make as many as they like.
const MAX_NODES: usize = 1_000_000;

/// Deeper than any configuration.
const MAX_DEPTH: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_is_read_with_the_places_of_its_keys_and_values() {
        let documents = documents("a: 1\nb:\n  c: [x, {d: y}]\n---\n---\n\"e\": |\n  text\n").unwrap();
        assert_eq!(documents.len(), 2);
        let entry = documents[0].entry("b").unwrap();
        assert_eq!((entry.at.line, entry.at.column), (2, 1));
        let list = documents[0].at(&["b", "c"]).unwrap();
        let inner = list.items()[1].get("d").unwrap();
        assert_eq!((inner.at.line, inner.at.column, inner.text()), (3, 14, Some("y")));
    }

    #[test]
    fn a_literal_text_begins_on_the_line_after_its_key_whatever_it_begins_with() {
        for text in ["e: |\n  text\n", "e: |2 # why not\n    text\n", "e: |\n\n  text\n"] {
            let margin = documents(text).unwrap()[0].get("e").unwrap().margin();
            assert_eq!(margin, Some(Position { line: 2, column: 3 }), "{text:?}");
        }
        assert_eq!(documents("e: >\n  text\n").unwrap()[0].get("e").unwrap().margin(), None);
    }

    #[test]
    fn aliases_stand_where_they_are_used_and_have_an_end() {
        let documents = documents("a: &x {b: 1}\nc: *x\n").unwrap();
        assert_eq!(documents[0].get("c").unwrap().at.line, 2);
        let bomb = "a0: &a0 [x, x]\n".to_owned()
            + &(1..40).map(|n| format!("a{n}: &a{n} [*a{}, *a{}]\n", n - 1, n - 1)).collect::<String>();
        assert!(super::documents(&bomb).is_err());
        assert!(super::documents(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn a_file_that_is_no_yaml_says_where() {
        let broken = documents("a: 1\nb: [1, 2\nc: }\n").unwrap_err();
        assert!(broken.at.line >= 2, "{broken:?}");
    }
}
