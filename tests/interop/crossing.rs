//! Both start at the same time: first messages cross, then both settle on one session.

use subrosa::session::Ciphertext;

use crate::chance::Chance;
use crate::network::{Party, pass, talk};
use crate::ours::Ours;
use crate::peer::Peer;
use crate::theirs::Theirs;

#[test]
fn simultaneous_starts_converge() {
    let Some(mut peer) = Peer::start() else { return };
    let mut chance = Chance::new("crossing");
    let mut lines = Vec::new();
    for (we_go_on, one_time) in [(true, true), (false, true), (true, false), (false, false)] {
        let (ours, theirs) = (chance.address(), chance.address());
        let (mut us, mut them) = (Ours::new(&ours, &theirs, chance.split()), Theirs::new(&mut peer, &theirs, &ours));
        us.initiate(&them.publish(one_time)["bundle"]).unwrap();
        them.initiate(&us.publish(one_time)).unwrap();
        let line = cross(&mut us, &mut them, we_go_on, &mut chance);
        assert_eq!(us.one_time_left(), 0);
        lines.push(line);
    }
    peer.summary(&format!("four pairs of crossed starts; {}", lines.join("; ")));
}

fn sends(from: &mut dyn Party, text: &str) -> Vec<(Vec<u8>, Ciphertext)> {
    (0..4)
        .map(|number| format!("{text} {number}").into_bytes())
        .map(|text| (text.clone(), from.encrypt(&text)))
        .collect()
}

fn arrive(to: &mut dyn Party, messages: &[(Vec<u8>, Ciphertext)]) {
    for (plaintext, message) in messages {
        assert_eq!(to.decrypt(message).as_ref(), Ok(plaintext));
        assert!(to.decrypt(message).is_err());
    }
}

fn cross(us: &mut Ours, them: &mut Theirs<'_>, we_go_on: bool, chance: &mut Chance) -> String {
    // First messages cross; half of them are held back.
    let (from_us, from_them) = (sends(us, "our first"), sends(them, "their first"));
    assert!(from_us.iter().chain(&from_them).all(|(_, message)| message.is_first()));
    arrive(us, &from_them[..2]);
    arrive(them, &from_us[..2]);
    // Now each answers in the other's session, and that crosses as well.
    let (answers_from_us, answers_from_them) = (sends(us, "our answer"), sends(them, "their answer"));
    assert!(answers_from_us.iter().chain(&answers_from_them).all(|(_, message)| !message.is_first()));
    assert_eq!(us.session().archived(), 1);

    // Whoever sends now without crossing decides: our answers are in their session, and the other way round.
    let (late_to_us, late_to_them) = if we_go_on {
        arrive(them, &answers_from_us);
        pass(them, us, b"settled");
        // Our session lost: our first messages and their answers to them are late.
        (&answers_from_them[..], &from_us[2..])
    } else {
        arrive(us, &answers_from_them);
        pass(us, them, b"settled");
        (&from_them[2..], &answers_from_us[..])
    };
    // Until there is an epoch: their number tells the two sessions apart.
    let mut decrypted = 0;
    while decrypted < 300 || us.session().pq_epochs() == 0 {
        decrypted += talk([us, them], 100, chance).delivered;
    }
    assert_eq!(us.session().archived(), 1);
    let epochs = us.session().pq_epochs();

    // The losing session's late messages bring it back: on one side, which goes on with it, then on the other.
    arrive(us, late_to_us);
    assert!(us.session().pq_epochs() < epochs, "the archived session is the current one");
    us.reload();
    pass(us, them, b"back again");
    arrive(them, late_to_them);
    decrypted += talk([them, us], 100, chance).delivered;
    assert_eq!(us.session().archived(), 1, "there were two sessions all the time");
    format!("{decrypted} decrypted")
}
