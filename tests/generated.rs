//! The checked-in Rust of `src/wire/*.proto` is what the `.proto` files generate: regenerated in memory and compared.
//!
//! After a change of a `.proto` file: `SUBROSA_REGENERATE=1 cargo test --test generated`.

#![allow(clippy::disallowed_methods, reason = "a test reads files and its environment")]

use std::path::Path;

const FILES: [&str; 6] = ["contents", "record", "report", "signal", "state", "v1"];

#[test]
fn generated_code_is_current() {
    let wire = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/wire");
    let protos: Vec<_> = FILES.iter().map(|name| wire.join(name).with_extension("proto")).collect();
    let descriptors = protox::compile(&protos, [&wire]).unwrap();

    let mut config = prost_build::Config::new();
    // `HashMap` is not in alloc; a derived Debug would print secrets; stored state is wiped when it is dropped.
    config.btree_map(["."]).skip_debug(["."]);
    config.type_attribute(".subrosa.record", "#[derive(::zeroize::Zeroize, ::zeroize::ZeroizeOnDrop)]");
    // What is nested wipes itself when it is dropped: once, not once for each level around it.
    for file in descriptors.file.iter().filter(|file| file.package() == "subrosa.record") {
        for message in &file.message_type {
            for field in message.field.iter().filter(|field| field.type_name.is_some()) {
                let path = format!(".subrosa.record.{}.{}", message.name(), field.name());
                config.field_attribute(path, "#[zeroize(skip)]");
            }
        }
    }
    let requests = descriptors
        .file
        .into_iter()
        .map(|file| (prost_build::Module::from_protobuf_package_name(file.package()), file))
        .collect();
    let generated = config.generate(requests).unwrap();
    assert_eq!(generated.len(), FILES.len());

    for (module, code) in generated {
        let path = wire.join("generated").join(module.to_file_name_or("_"));
        let code =
            format!("// Generated from the .proto file of the same name by tests/generated.rs: do not edit.\n{code}");
        if std::env::var_os("SUBROSA_REGENERATE").is_some() {
            std::fs::write(&path, &code).unwrap();
        }
        let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(checked_in == code, "{} is out of date", path.display());
    }
}
