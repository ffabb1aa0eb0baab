//! A new device is taken into an account: the first device scans its code, and the user types six digits in.
//!
//! The code goes from screen to camera, here from terminal to terminal, and never through the relay. What goes through the
//! relay is sealed for whoever has seen the code.

use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use subrosa::account::{LinkError, LinkOffer, Provisioned};
use subrosa::client::PrekeyCounts;
use subrosa::suite::Suite;

use crate::Failure;
use crate::client::{ASK_AGAIN, Chat, hex, join, now, plain, rng};
use crate::store::Store;
use crate::wire::Frame;

/// An offer lives ten minutes.
const LIFE: Duration = Duration::from_secs(600);

/// A new device: shows its code, waits to be taken in, shows the digits, and talks.
pub(crate) fn link(relay: &str, peer: &str, db: &Path) -> Result<(), Failure> {
    let mut offer = LinkOffer::new(now(), &mut rng());
    let mailbox = hex(&offer.mailbox());
    println!("Type on your first device: /link {}", hex(&offer.qr()));
    let mut post = TcpStream::connect(relay)?;
    let provisioned = wait(&mut offer, &mailbox, &mut post)?;
    println!("This becomes device {} of {}.", provisioned.device().get(), plain(provisioned.user().as_str()));
    let linked = Store::open(db)?.link(db, &provisioned)?;
    // It is on the disk: only then the first device gets the consent.
    Frame::PutLink { mailbox, bytes: linked.consent }.send(&mut post)?;
    let Frame::Posted { .. } = Frame::receive(&mut post)? else {
        return Err("the relay answers something else".into());
    };
    println!("If that is you, type there: /digits {}", provisioned.digits().as_str());
    join(relay, linked.opened.client.address(), peer, db, Suite::V1, false)
}

/// Waits for the first device's answer.
fn wait(offer: &mut LinkOffer, mailbox: &str, post: &mut TcpStream) -> Result<Provisioned, Failure> {
    let began = Instant::now();
    while began.elapsed() < LIFE {
        Frame::TakeLink { mailbox: mailbox.to_owned() }.send(post)?;
        let Frame::LinkMail { found, bytes } = Frame::receive(post)? else { return Err("that is no answer".into()) };
        match offer.open(&bytes, now()) {
            Ok(provisioned) => return Ok(provisioned),
            // Nothing is there yet, or what anybody could put there.
            Err(LinkError::NotAuthentic) => {}
            Err(error) => return Err(error.into()),
        }
        if !found {
            std::thread::sleep(ASK_AGAIN);
        }
    }
    Err("nobody has answered for ten minutes".into())
}

impl Chat {
    /// The user has the new device in hand, and has typed its code in.
    pub(crate) fn answer_link(&mut self, code: &str) -> Result<(), Failure> {
        let answered = self.store.run(self.client.answer_link(&unhex(code)?), |_, _| Ok(()))?;
        self.link.0 = hex(&answered.mailbox);
        self.tell(&Frame::PutLink { mailbox: self.link.0.clone(), bytes: answered.message })?;
        self.notice("the new device shows six digits now: type them in, /digits DIGITS");
        Ok(())
    }

    /// The new device has consented: with the right digits it is one of the account's.
    pub(crate) fn complete_link(&mut self, found: bool, consent: &[u8]) -> Result<(), Failure> {
        if !found {
            self.notice("nothing has come of a new device");
            return Ok(());
        }
        let complete = self.client.complete_link(consent, &self.link.1);
        match self.store.run(complete, |_, _| Ok(())) {
            Ok(Ok(device)) => self.notice(&format!("device {} is linked", device.get())),
            Ok(Err(error)) => self.notice(&format!("no device was linked: {error}")),
            Err(error) => self.notice(&format!("no device was linked: {error}")),
        }
        self.attend(PrekeyCounts::FULL)
    }
}

fn unhex(text: &str) -> Result<Vec<u8>, Failure> {
    let digits = text.as_bytes().chunks(2).map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?));
    digits.collect()
}
