//! The verdict as a moderator reads it, each file checked.

use subrosa::ident::UserId;
use subrosa::platform::{AttachmentMismatch, Finding, MessageOrder, Verdict, VerifiedMessage, verify_attachment};
use subrosa::report::{AccountTag, Commitment, Part, PartView};

use crate::picture;
use crate::platform::Platform;

pub(crate) fn show(verdict: &Verdict, platform: &Platform, users: &[&UserId]) {
    let name = |tag: &AccountTag| {
        let user = users.iter().find(|user| AccountTag::of(user) == *tag);
        user.map_or_else(|| "somebody".to_owned(), |user| user.as_str().to_owned())
    };
    // What a moderator calls a message: its number in this report.
    let number = |commitment: &Commitment| {
        let at = verdict.messages.iter().position(|message| message.commitment == *commitment);
        at.map_or_else(|| "a message that is not here".to_owned(), |at| format!("no. {}", at + 1))
    };
    println!("Verdict: {} messages are proven, {} are not.", verdict.messages.len(), verdict.rejected.len());
    println!("Their order: {}.", order(verdict.order));
    println!("The reporter says, and nothing proves it: {}", verdict.note);
    for (at, message) in verdict.messages.iter().enumerate() {
        let time = message.platform_time.get() / 1000 % 86_400;
        let shown: Vec<String> =
            message.open_parts().map(|(at, part)| read(message, at, part, platform, &number)).collect();
        let shown = if shown.is_empty() { "(kept private by the reporter)".to_owned() } else { shown.join(" ") };
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        println!("  {}. {hour:02}:{minute:02}:{second:02} {}: {shown}", at + 1, name(&message.sender));
    }
    for finding in &verdict.findings {
        let blame = finding
            .blames()
            .map_or_else(|| "nobody is to blame".to_owned(), |tag| format!("{} is to blame", name(&tag)));
        println!("  Note: {}; {blame}.", tell(finding, &name, &number));
    }
}

const fn order(order: MessageOrder) -> &'static str {
    match order {
        MessageOrder::PlatformTotal => "as the platform counted them",
        MessageOrder::Causal => "by what each message says to follow and to have seen, and by the platform's clock",
        _ => "of a kind that this program does not know",
    }
}

fn tell(finding: &Finding, name: &impl Fn(&AccountTag) -> String, number: &impl Fn(&Commitment) -> String) -> String {
    match finding {
        Finding::Gap { owner, from, to, .. } => {
            format!("{} of {}'s messages in between are not in the report", to - from + 1, name(owner))
        }
        Finding::Undisclosed { claimed_by, message, .. } => {
            format!(
                "in {}, {} says to have seen a message that is not in the report",
                number(message),
                name(claimed_by)
            )
        }
        Finding::SeenMismatch { claimed_by, message, .. } => {
            format!(
                "in {}, {} says to have seen another message than the report has",
                number(message),
                name(claimed_by)
            )
        }
        Finding::LateStamp { message, seen_in } => {
            format!("{} was there before its time: {} had seen it", number(message), number(seen_in))
        }
        Finding::OpenStart { owner, .. } => {
            format!("what {} wrote before these messages is not in the report", name(owner))
        }
        Finding::OpenEnd { owner, .. } => {
            format!("what {} may have written after these messages is not in the report", name(owner))
        }
        Finding::Fork { owner, .. } => format!("{}'s device has told two stories", name(owner)),
        Finding::OrderViolation { owner, .. } => {
            format!("the platform's count runs against the order of {}'s messages", name(owner))
        }
        Finding::TimeAnomaly { message, .. } => {
            format!("the sender's clock and the platform's differ much for {}", number(message))
        }
        other => format!("something that this program has no words for ({other:?})"),
    }
}

fn read(
    message: &VerifiedMessage,
    at: usize,
    part: &Part,
    platform: &Platform,
    number: &impl Fn(&Commitment) -> String,
) -> String {
    match part.view() {
        Ok(PartView::Text(text)) => format!("\u{201c}{text}\u{201d}"),
        Ok(PartView::EditOf(target)) => format!("changes {} to", number(&target)),
        Ok(PartView::DeleteOf(target)) => format!("takes {} back", number(&target)),
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
