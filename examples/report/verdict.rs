//! The verdict as a moderator reads it, each file checked.

use subrosa::ident::UserId;
use subrosa::platform::{AttachmentMismatch, Verdict, VerifiedMessage, verify_attachment};
use subrosa::report::{AccountTag, Part, PartView};

use crate::picture;
use crate::platform::Platform;

pub(crate) fn show(verdict: &Verdict, platform: &Platform, users: &[&UserId]) {
    let name = |tag: &AccountTag| {
        let user = users.iter().find(|user| AccountTag::of(user) == *tag);
        user.map_or_else(|| "somebody".to_owned(), |user| user.as_str().to_owned())
    };
    let (proven, not) = (verdict.messages.len(), verdict.rejected.len());
    println!("Verdict: {proven} messages proven, {not} not. Order: {:?}.", verdict.order);
    println!("The reporter says (unproven): {}", verdict.note);
    for message in &verdict.messages {
        let at = message.platform_time.get() / 1000 % 86_400;
        print!("  {:02}:{:02}:{:02} {}: ", at / 3600, at / 60 % 60, at % 60, name(&message.sender));
        let shown: Vec<String> = message.open_parts().map(|(at, part)| read(message, at, part, platform)).collect();
        let shown = if shown.is_empty() { "(kept private)".to_owned() } else { shown.join(" ") };
        println!("{shown} [{:?}]", message.commitment);
    }
    for finding in &verdict.findings {
        let blame = finding.blames().map_or_else(|| "blames nobody".to_owned(), |tag| format!("blames {}", name(&tag)));
        println!("  note, {blame}: {finding:?}");
    }
}

fn read(message: &VerifiedMessage, at: usize, part: &Part, platform: &Platform) -> String {
    match part.view() {
        Ok(PartView::Text(text)) => format!("{text:?}"),
        Ok(PartView::EditOf(target)) => format!("changes {target:?} to"),
        Ok(PartView::DeleteOf(target)) => format!("takes {target:?} back"),
        Ok(PartView::Attachment(reference)) => {
            let object = platform.object(&reference).unwrap_or_default();
            check(message, at, object).unwrap_or_else(|error| format!("a file, not checked: {error}"))
        }
        _ => "something".to_owned(),
    }
}

/// What a file is, by its own bytes; its name and type are only what the sender called it.
pub(crate) fn check(message: &VerifiedMessage, part: usize, object: &[u8]) -> Result<String, AttachmentMismatch> {
    let file = verify_attachment(message, part, object)?;
    let what = picture::describe(&file.plain);
    Ok(format!("\"{}\", said to be {}: {what}, byte for byte as sent;", file.name, file.media_type))
}
