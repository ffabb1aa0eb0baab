//! Version byte and protobuf fields, taken apart and put together again: enough to alter what no MAC covers.

/// A message's fields, in the order of the wire.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    pub(crate) version: u8,
    pub(crate) fields: Vec<(u64, Field)>,
}

/// The two kinds that occur.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Fields {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let (version, mut rest) = bytes.split_first().unwrap();
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let tag = take_varint(&mut rest);
            let value = take_varint(&mut rest);
            let field = match tag & 7 {
                0 => Field::Number(value),
                2 => {
                    let (bytes, after) = rest.split_at(usize::try_from(value).unwrap());
                    rest = after;
                    Field::Bytes(bytes.into())
                }
                kind => panic!("wire type {kind}"),
            };
            fields.push((tag >> 3, field));
        }
        Self { version: *version, fields }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.version];
        for (number, field) in &self.fields {
            match field {
                Field::Number(value) => {
                    put_varint(&mut out, number << 3);
                    put_varint(&mut out, *value);
                }
                Field::Bytes(bytes) => {
                    put_varint(&mut out, number << 3 | 2);
                    put_varint(&mut out, u64::try_from(bytes.len()).unwrap());
                    out.extend(bytes);
                }
            }
        }
        out
    }

    /// The bytes of a field that is there.
    pub(crate) fn bytes(&mut self, number: u64) -> &mut Vec<u8> {
        match self.fields.iter_mut().find(|(found, _)| *found == number) {
            Some((_, Field::Bytes(bytes))) => bytes,
            field => panic!("field {number} is {field:?}"),
        }
    }

    pub(crate) fn set(&mut self, number: u64, value: u64) {
        self.remove(number);
        self.fields.push((number, Field::Number(value)));
    }

    pub(crate) fn remove(&mut self, number: u64) {
        self.fields.retain(|(found, _)| *found != number);
    }
}

fn take_varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, after) = rest.split_first().unwrap();
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}
