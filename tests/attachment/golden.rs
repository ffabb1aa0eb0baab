//! Whole objects, references and records of schema 1, as a program apart from the library wrote them. Never changed.

use super::att1::sha256;
use super::{slice, wide};
use serde_json::Value;
use subrosa::attachment::{AttachmentRef, AttachmentUpload, decrypt};

#[test]
fn golden_files() {
    let golden: Value = serde_json::from_str(include_str!("../vectors/attachments/att1.json")).unwrap();
    let files = golden["files"].as_array().unwrap();
    assert_eq!(files.len(), 5);
    for file in files {
        let bytes = |name: &str| hex::decode(file[name].as_str().unwrap()).unwrap();
        let len = usize::try_from(file["plain_len"].as_u64().unwrap()).unwrap();
        let plain: Vec<u8> = (0..=255).cycle().take(len).collect();

        // The record is read, written as it was, and the upload goes on from it.
        let mut upload = AttachmentUpload::from_bytes(&bytes("half_way_record")).unwrap();
        assert_eq!(*upload.to_bytes(), bytes("half_way_record"));
        assert_eq!(u64::from(upload.layout().chunk_size().log2()), file["log2"].as_u64().unwrap());
        let half = upload.layout().chunks() / 2;
        assert_eq!((upload.committed(), upload.layout().plain_len()), (half, wide(len)));
        let mut object = upload.header().to_vec();
        for chunks in [0..half, half..upload.layout().chunks()] {
            let text = slice(&plain, upload.layout().plain_range(chunks.clone()).unwrap());
            if !chunks.is_empty() {
                object.extend_from_slice(upload.stage(chunks, text).unwrap().committed());
            }
        }
        object.extend_from_slice(upload.list());
        assert_eq!(sha256(&object)[..], bytes("object_sha256"), "{len}");

        let reference = AttachmentRef::parse(&bytes("reference")).unwrap();
        assert_eq!(upload.reference("video/mp4", "r\u{f6}schen.mp4").unwrap(), reference);
        assert_eq!(*reference.to_bytes(), bytes("reference"));
        assert!(*decrypt(&reference, &object).unwrap() == plain);
    }
}
