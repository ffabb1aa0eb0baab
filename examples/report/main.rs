//! A harasser, a victim, and a platform that carries their messages and files without reading them, until the victim
//! reports. Devices are [`Client`](subrosa::client::Client)s with framing; platform, relay and databases are in memory.
//!
//! `cargo run --release --example report`

#![allow(clippy::print_stdout, reason = "an example talks")]

mod forgeries;
mod phone;
mod picture;
mod platform;
mod verdict;

use std::error::Error;

use rand_core::UnwrapErr;
use subrosa::attachment;
use subrosa::ident::UserId;
use subrosa::report::{AccountTag, Part, ReportBuilder, Reveal, seal_report};

use phone::Phone;
use platform::Platform;

type Rng = UnwrapErr<getrandom::SysRng>;
type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let mut platform = Platform::new(&mut rng)?;
    let (mallory, alice) = (UserId::new("mallory")?, UserId::new("alice")?);
    let mut victim = Phone::new(&alice, &mut platform)?;
    let mut harasser = Phone::new(&mallory, &mut platform)?;
    harasser.start_talking_to(victim.address(), &mut platform)?;

    // What happens, in private.
    let threat = harasser.send(victim.address(), &[Part::text("I know where you live.")], &mut platform)?;
    victim.receive_all(&mut platform)?;
    victim.send(harasser.address(), &[Part::text("Please stop writing to me.")], &mut platform)?;
    harasser.receive_all(&mut platform)?;
    let edit = [Part::edit_of(&threat), Part::text("I know a nice place where you live.")];
    harasser.send(victim.address(), &edit, &mut platform)?;
    let (object, reference) = attachment::encrypt(&picture::red_door(24, 16), "image/png", "your door.png", &mut rng)?;
    platform.upload(&reference, object);
    harasser.send(victim.address(), &[Part::attachment(&reference), Part::text("See?")], &mut platform)?;
    harasser.send(victim.address(), &[Part::delete_of(&threat)], &mut platform)?;
    victim.receive_all(&mut platform)?;
    println!("{}\n", platform.what_it_knows());

    // Alice reports: all that Mallory sent, and of her own message only that there was one.
    let me = AccountTag::of(&alice);
    let mut builder = ReportBuilder::new(me);
    builder.note("He deletes what he writes.")?;
    for (evidence, parts) in victim.messages()? {
        if *evidence.header().sender() == me {
            builder.add(&evidence, &[], Reveal::HeaderOnly)?;
        } else {
            builder.add(&evidence, &parts, Reveal::All)?;
        }
    }
    let report = builder.build();
    let sealed = seal_report(&report, &me, &platform.moderators_key(), &mut rng)?;
    println!("Alice reports: {} bytes, sealed to the moderators {} bytes.\n", report.len(), sealed.len());

    // The moderators open it, as sent by the account that is logged in on this connection.
    let opened = platform.open(&alice, &sealed)?;
    let judged = platform.judge(&alice, &opened)?;
    verdict::show(&judged, &platform, &[&mallory, &alice]);
    forgeries::refuse_all(&platform, &victim, &opened, &alice, &mallory)?;
    forgeries::exchange_the_picture(&mut platform, &judged, &mut rng)
}
