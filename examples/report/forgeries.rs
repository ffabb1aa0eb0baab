//! Reports that lie, and what becomes of them.

use std::collections::BTreeSet;
use std::error::Error;

use rand_core::UnwrapErr;
use subrosa::attachment;
use subrosa::ident::{Timestamp, UserId};
use subrosa::platform::{StampKeys, Verdict, VerifyReportError, stamp};
use subrosa::report::{AccountTag, ChainState, Destination, ReportBuilder, Reveal, Stamp, StampContext};

use crate::phone::Phone;
use crate::platform::Platform;
use crate::{Result, Rng, picture, verdict};

/// Five of them.
pub(crate) fn refuse_all(
    platform: &Platform,
    victim: &Phone,
    report: &[u8],
    alice: &UserId,
    mallory: &UserId,
) -> Result<()> {
    println!("\nFive forged reports:");
    let forged = replaced(report, b"I know where you live.", b"I'll burn down a house");
    refuse("one word of the threat exchanged", platform.judge(alice, &forged))?;

    let messages = victim.messages()?;
    let (evidence, parts) = messages.first().ok_or("received")?;
    let genuine = evidence.stamp().ok_or("stamped")?;
    let time = Timestamp::new(genuine.context.time.get() + 1);
    let later = Stamp { context: StampContext { time, ..genuine.context }, ..*genuine };
    let forged = replaced(report, &genuine.to_bytes(), &later.to_bytes());
    refuse("another time on the stamp", platform.judge(alice, &forged))?;

    let context = StampContext { sender: AccountTag::of(&UserId::new("accomplice")?), ..genuine.context };
    let accomplices = stamp(&platform.stamp_keys, platform.kid, evidence.commitment(), &context)?;
    let forged = replaced(report, &genuine.to_bytes(), &accomplices.to_bytes());
    refuse("a friend submits the same ciphertext", platform.judge(alice, &forged))?;

    refuse("the same report from somebody else's account", platform.judge(&UserId::new("eve")?, report))?;

    // Made up from nothing, on a platform that is not this one.
    let (mut rng, mut elsewhere) = (UnwrapErr(getrandom::SysRng), StampKeys::default());
    elsewhere.generate(platform.kid, &mut rng)?;
    let mut made_up = ChainState::new(AccountTag::of(mallory), Destination::Direct(AccountTag::of(alice)), &mut rng);
    let lie = made_up.seal(parts, platform.now(), &mut rng)?;
    let forged = stamp(&elsewhere, platform.kid, lie.evidence.commitment(), &genuine.context)?;
    let mut builder = ReportBuilder::new(AccountTag::of(alice));
    builder.add(&made_up.own_stamp(&lie.evidence, &forged.to_bytes())?, parts, Reveal::All)?;
    refuse("a message that was never sent", platform.judge(alice, &builder.build()))
}

/// A genuine report, and another picture in the store: nicer for the sender, or worse.
pub(crate) fn exchange_the_picture(platform: &mut Platform, judged: &Verdict, rng: &mut Rng) -> Result<()> {
    let files = |(at, message)| {
        let of_part = move |(part, it): (usize, &subrosa::report::Part)| Some((at, part, it.attachment_ref()?));
        subrosa::platform::VerifiedMessage::open_parts(message).find_map(of_part)
    };
    let (at, part, reference) = judged.messages.iter().enumerate().find_map(files).ok_or("no picture")?;
    let (other, _) = attachment::encrypt(&picture::red_door(24, 16), "image/png", "your door.png", rng)?;
    platform.upload(&reference, other);
    let message = judged.messages.get(at).ok_or("no message")?;
    match verdict::check(message, part, platform.object(&reference).unwrap_or_default()) {
        Ok(what) => Err(format!("an exchanged picture was believed: {what}").into()),
        Err(error) => {
            println!("\nThe picture exchanged in the store: refused, {error}");
            Ok(())
        }
    }
}

fn refuse(what: &str, verdict: std::result::Result<Verdict, VerifyReportError>) -> Result<()> {
    match verdict {
        Err(VerifyReportError::NothingVerified(rejected)) => {
            let reasons: BTreeSet<String> = rejected.iter().map(|(_, reject)| reject.to_string()).collect();
            println!("  {what}: refused, {}", reasons.into_iter().collect::<Vec<_>>().join("; "));
            Ok(())
        }
        Ok(verdict) => {
            let reasons: Vec<_> = verdict.rejected.iter().map(|(at, reject)| format!("item {at} {reject}")).collect();
            let (believed, refused) = (verdict.messages.len(), verdict.rejected.len());
            println!("  {what}: {believed} of {} believed; {}", believed + refused, reasons.join("; "));
            if refused > 0 { Ok(()) } else { Err(Box::<dyn Error>::from("a forgery was believed")) }
        }
        Err(error) => {
            println!("  {what}: refused, {error}");
            Ok(())
        }
    }
}

/// The report with some bytes of it exchanged for as many others.
fn replaced(report: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = report.windows(from.len()).position(|window| window == from);
    let mut out = report.to_vec();
    if let Some(place) = at.and_then(|at| out.get_mut(at..at + to.len())) {
        place.copy_from_slice(to);
    }
    out
}
