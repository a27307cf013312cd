//! What a database server may send: any bytes, cut anywhere. The messages found do not depend on the
//! cuts, and a conversation takes each of them or ends.
#![no_main]

use berth::ovn::southbound;
use libfuzzer_sys::fuzz_target;
use ovsdb::{
    frame::{FrameError, Framer},
    session::Session,
};

fuzz_target!(init: berth_fuzz::catch_stack_overflow(), |data: &[u8]| {
    let Some((size, stream)) = data.split_first() else {
        return;
    };
    let size = usize::from(*size).max(1);
    let whole = messages(std::iter::once(stream));
    assert_eq!(messages(stream.chunks(size)), whole);

    let mut session = Session::new(southbound::spec(size.is_multiple_of(2), true));
    session.begin();
    for message in &whole.0 {
        if session.receive(message).is_err() {
            session.begin();
        }
    }
});

type Found = (Vec<Vec<u8>>, Option<FrameError>);

fn messages<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Found {
    let mut framer = Framer::new(2048);
    let mut found = Vec::new();
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.next_message() {
                Ok(Some(message)) => found.push(message.to_vec()),
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}
