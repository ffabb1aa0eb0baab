use super::*;
use crate::wire::state;
use proptest::prelude::*;
use prost::Message as _;
use std::vec;

/// Two numbers with one between them that may be missing, and bytes.
#[derive(Debug, Clone, PartialEq)]
struct Sample(u32, Option<u32>, u32, Vec<u8>);

impl Sample {
    fn write(&self, out: &mut FieldWriter) {
        out.number(1, self.0);
        out.optional(2, self.1);
        out.number(3, self.2);
        out.bytes(4, &self.3);
    }

    fn read(mut fields: FieldReader<'_>) -> Result<Self, FieldError> {
        let (first, second) = (fields.small(1)?, fields.optional(2)?);
        let second = second.map(u32::try_from).transpose().map_err(|_| FieldError::NotCanonical)?;
        let sample = Self(first, second, fields.small(3)?, fields.bytes(4)?.to_vec());
        fields.end()?;
        Ok(sample)
    }

    /// As generated code has it.
    fn generated(&self) -> state::Pending {
        let Self(signed_prekey_id, one_time_prekey_id, kem_prekey_id, kem_ciphertext) = self.clone();
        state::Pending { signed_prekey_id, one_time_prekey_id, kem_prekey_id, kem_ciphertext }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let read = state::Pending::decode(bytes).ok().filter(|read| read.encode_to_vec() == bytes)?;
        Some(Self(read.signed_prekey_id, read.one_time_prekey_id, read.kem_prekey_id, read.kem_ciphertext))
    }
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let number = || prop_oneof![Just(0), Just(127), Just(128), Just(u32::MAX), any::<u32>()];
    let bytes = prop_oneof![Just(0..1), Just(120..140), Just(16_375..16_392)]
        .prop_flat_map(|len: core::ops::Range<usize>| proptest::collection::vec(any::<u8>(), len));
    (number(), proptest::option::of(number()), number(), bytes).prop_map(|(a, b, c, d)| Sample(a, b, c, d))
}

proptest! {
    /// Byte for byte what prost writes, nested too, whatever the lengths and however often the buffer grows.
    #[test]
    fn what_is_written_is_what_prost_writes(sample in any_sample(), capacity in 0..200usize) {
        let mut out = FieldWriter::with_capacity(capacity);
        out.message(6, |out| sample.write(out));
        out.joined(9, |out| out.put(&sample.3));
        let generated = state::SessionState {
            pending: Some(sample.generated()),
            initiation: sample.3.clone(),
            ..Default::default()
        };
        let bytes = out.finish();
        prop_assert_eq!(&**bytes, &generated.encode_to_vec());
        let mut fields = FieldReader::new(&bytes);
        prop_assert_eq!(Sample::read(fields.some_message(6).unwrap()), Ok(sample));
    }

    /// Of any bytes, those are read that prost reads and would write the same way.
    #[test]
    fn what_is_read_is_the_one_encoding(
        mut bytes in any_sample().prop_map(|sample| sample.generated().encode_to_vec()),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 0..4),
    ) {
        bytes.truncate(60);
        for (at, byte, edit) in edits {
            let at = at.index(bytes.len().max(1));
            match edit {
                0 if at < bytes.len() => bytes[at] = byte,
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ => bytes.insert(at.min(bytes.len()), byte & 0x3f),
            }
        }
        prop_assert_eq!(Sample::read(FieldReader::new(&bytes)).ok(), Sample::decode(&bytes));
    }
}

#[test]
fn refusals_by_name() {
    for (what, bytes, expected) in [
        ("a longer spelling", vec![0x08, 0x81, 0], FieldError::NotCanonical),
        ("a default that is written", vec![0x08, 0], FieldError::NotCanonical),
        ("an empty field that is written", vec![0x22, 0], FieldError::NotCanonical),
        ("another order", vec![0x18, 1, 0x08, 1], FieldError::NotCanonical),
        ("twice", vec![0x08, 1, 0x08, 1], FieldError::NotCanonical),
        ("unknown", vec![0x28, 1], FieldError::NotCanonical),
        ("beyond 32 bits", vec![0x08, 0xff, 0xff, 0xff, 0xff, 0x1f], FieldError::NotCanonical),
        ("beyond 64 bits", [&[0x08][..], &[0xff; 9], &[2]].concat(), FieldError::Protobuf),
        ("a number without end", [&[0x08][..], &[0xff; 10], &[1]].concat(), FieldError::Protobuf),
        ("a number cut short", vec![0x08, 0x80], FieldError::Protobuf),
        ("bytes cut short", vec![0x22, 2, 1], FieldError::Protobuf),
    ] {
        assert_eq!(Sample::read(FieldReader::new(&bytes)), Err(expected), "{what}");
    }
}
