//! Connections and watchers are counted, and shut out nobody else.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use devmason_api::Bound;

use crate::*;

#[test]
fn watchers_are_bounded_apart_and_shut_out_nobody() {
    let server = Server::with(|settings| {
        settings.watchers = Bound { all: 3, of_address: 2 };
    });
    server.project("pony");
    let progress = server.build("pony", r#"{"incremental":true}"#);
    let events = progress.replace("/progress", "/events");
    let watch = || {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        write!(stream, "GET {events} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        (stream, String::from_utf8_lossy(&head[9..]).parse::<u16>().unwrap())
    };
    let watchers: Vec<_> = (0..2).map(|_| watch()).collect();
    assert!(watchers.iter().all(|(_, status)| *status == 200));
    let (_, status) = watch();
    assert_eq!(status, 503);
    assert_eq!(server.get("/pony").status, 200);
    let refused = server.get(&events);
    assert!(refused.header("retry-after").parse::<u32>().is_ok());
    drop(watchers);
}

#[test]
fn many_connections_of_one_address_take_each_others_places_and_no_others() {
    let server = Server::with(|settings| {
        settings.connections = Bound { all: 100, of_address: 4 };
    });
    // Of the connections waiting for a client, the one waiting longest is closed.
    let mut open: Vec<TcpStream> =
        (0..20).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
    for stream in &mut open {
        let _ = write!(stream, "GET / HTTP/1.1\r\n");
        stream.set_nonblocking(true).unwrap();
    }
    // Each of the server's workers accepts its connections in turn, but a busy one falls behind the
    // others: until all have come, a new connection may be the one that is waiting longest.
    until("all but four are closed", || {
        open.retain_mut(|stream| {
            let mut none = [0];
            matches!(stream.read(&mut none), Err(error) if error.kind() == ErrorKind::WouldBlock)
        });
        open.len() <= 4
    });
    for _ in 0..10 {
        assert_eq!(server.get("/healthz").status, 200);
    }
}
