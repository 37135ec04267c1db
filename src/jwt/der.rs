//! What keys are made of in DER (X.690): elements, each with a tag, read and written one by one. A type for each structure, as
//! in `pkcs8` and its like, is 60 KB of module.

use der::asn1::{AnyRef, UintRef};
use der::{Decode, Encode, Reader, SliceReader, Tag, Tagged};

/// It is no DER, or not of these elements.
#[derive(Debug)]
pub(super) struct Malformed;

/// Elements, of which one is read after the other.
pub(super) struct Elements<'d>(SliceReader<'d>);

impl<'d> Elements<'d> {
    pub(super) fn new(elements: &'d [u8]) -> Result<Self, Malformed> {
        Ok(Self(SliceReader::new(elements)?))
    }

    /// Those of a sequence, which is all that there is.
    pub(super) fn of_sequence(der: &'d [u8]) -> Result<Self, Malformed> {
        let mut whole = Self::new(der)?;
        let sequence = whole.sequence()?;
        whole.end()?;
        Ok(sequence)
    }

    /// Those of the next, a sequence.
    pub(super) fn sequence(&mut self) -> Result<Self, Malformed> {
        Self::new(self.content(Tag::Sequence)?)
    }

    /// The content of the next, which has this tag.
    pub(super) fn content(&mut self, tag: Tag) -> Result<&'d [u8], Malformed> {
        let element = AnyRef::decode(&mut self.0)?;
        if element.tag() == tag { Ok(element.value()) } else { Err(Malformed) }
    }

    /// The content of the first from here on that has this tag, if there is one.
    pub(super) fn find(&mut self, tag: Tag) -> Result<Option<&'d [u8]>, Malformed> {
        while !self.0.is_finished() {
            let element = AnyRef::decode(&mut self.0)?;
            if element.tag() == tag {
                return Ok(Some(element.value()));
            }
        }
        Ok(None)
    }

    /// The next, a number that is not negative: big-endian, without leading zeros.
    pub(super) fn number(&mut self) -> Result<&'d [u8], Malformed> {
        Ok(UintRef::decode(&mut self.0)?.as_bytes())
    }

    /// The next, whole bytes as a string of bits.
    pub(super) fn bits(&mut self) -> Result<&'d [u8], Malformed> {
        self.content(Tag::BitString)?.strip_prefix(&[0]).ok_or(Malformed)
    }

    /// Nothing follows.
    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.0.is_finished() { Ok(()) } else { Err(Malformed) }
    }
}

/// An element.
pub(super) fn element(tag: Tag, content: &[u8]) -> Result<Vec<u8>, Malformed> {
    Ok(AnyRef::new(tag, content)?.to_der()?)
}

/// A sequence of elements.
pub(super) fn sequence(elements: &[&[u8]]) -> Result<Vec<u8>, Malformed> {
    element(Tag::Sequence, &elements.concat())
}

/// A number that is not negative, big-endian.
pub(super) fn number(bytes: &[u8]) -> Result<Vec<u8>, Malformed> {
    Ok(UintRef::new(bytes)?.to_der()?)
}

/// A sequence of numbers.
pub(super) fn numbers(numbers: &[&[u8]]) -> Result<Vec<u8>, Malformed> {
    let mut elements = Vec::new();
    for bytes in numbers {
        elements.extend(number(bytes)?);
    }
    element(Tag::Sequence, &elements)
}

/// Whole bytes as a string of bits.
pub(super) fn bits(bytes: &[u8]) -> Result<Vec<u8>, Malformed> {
    element(Tag::BitString, &[&[0], bytes].concat())
}

impl From<der::Error> for Malformed {
    fn from(_: der::Error) -> Self {
        Self
    }
}
