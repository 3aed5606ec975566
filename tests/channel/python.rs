//! Listeners and clients with those of Python.
//!
//! The Python that is spoken with is `python3`, and those that the variable `TEST_PYTHONS` names,
//! divided by colons: 3.8 or later, since 3.6 fails to close a listener that has an abstract name.
//! Without any, these tests say so and pass.

use procession::net::{Address, ErrorKind, Options};
use procession_tests::{
    DEADLINE,
    net::{call_echo, kind, options, over_each_family},
    python::{Python, Running, pythons},
    within,
};

/// What each program in Python begins with: the address that it is given, as Python says it.
const PRELUDE: &str = r#"
import sys, hmac, os
from multiprocessing.connection import Client, Listener
def place(text):
    if text.startswith("tcp:"):
        host, _, port = text[4:].rpartition(":")
        return (host, int(port))
    if text.startswith("@"):
        return "\0" + text[1:]
    return text
def text(place):
    if isinstance(place, tuple):
        return "%s:%d" % place
    return (place.decode() if isinstance(place, bytes) else place).replace("\0", "@")
def echo(connection):
    try:
        while True:
            connection.send_bytes(connection.recv_bytes())
    except EOFError:
        pass
address = place(sys.argv[1])
key = sys.argv[2].encode() or None
"#;

fn in_python(address: &Address) -> String {
    match address {
        Address::Tcp(address) => format!("tcp:{address}"),
        address => address.to_string(),
    }
}

fn run(python: &Python, program: &str, address: &Address, key: &str) -> Running {
    let program = format!("{PRELUDE}{program}");
    python.run(&program, &[&in_python(address), key])
}

const ECHO_CLIENT: &str = r"
with Client(address, authkey=key) as connection:
    echo(connection)
";

const ECHO_LISTENER: &str = r"
with Listener(address, authkey=key) as listener:
    print(text(listener.address), flush=True)
    with listener.accept() as connection:
        echo(connection)
";

const FAILING_CLIENT: &str = r"
try:
    Client(address, authkey=key)
except Exception as error:
    print(type(error).__name__, error)
";

const FAILING_LISTENER: &str = r"
with Listener(address, authkey=key) as listener:
    print(text(listener.address), flush=True)
    try:
        listener.accept()
    except Exception as error:
        print(type(error).__name__, error)
";

/// Runs a test with each Python and each address, and options that let it in.
fn with_each_python(test: impl Fn(&Python, Address, Options)) {
    for python in pythons() {
        within(DEADLINE, || {
            over_each_family(|address| {
                test(&python, address, options().allow_md5(python.is_old()));
            });
        });
    }
}

/// A connection with the key, and one without any.
const KEYS: [&str; 2] = ["sekret", ""];

fn with_key(key: &str, options: Options) -> Options {
    if key.is_empty() {
        Options::new()
    } else {
        options
    }
}

#[test]
fn client_of_python_is_served() {
    for key in KEYS {
        with_each_python(|python, address, options| {
            let listener = with_key(key, options).bind(&address).unwrap();
            let client = run(python, ECHO_CLIENT, listener.local_address(), key);
            call_echo(&mut listener.accept().unwrap());
            assert_eq!(client.finish(), "");
        });
    }
}

#[test]
fn listener_of_python_is_found() {
    for key in KEYS {
        with_each_python(|python, address, options| {
            let mut listener = run(python, ECHO_LISTENER, &address, key);
            let found: Address = listener.line().parse().unwrap();
            call_echo(&mut with_key(key, options).connect(found).unwrap());
            assert_eq!(listener.finish(), "");
        });
    }
}

#[test]
fn client_of_python_with_another_key_is_refused() {
    with_each_python(|python, address, options| {
        let listener = options.bind(&address).unwrap();
        let client = run(python, FAILING_CLIENT, listener.local_address(), "another");
        assert_eq!(kind(listener.accept()), ErrorKind::WrongKey);
        assert_eq!(
            client.finish(),
            "AuthenticationError digest sent was rejected"
        );
    });
}

#[test]
fn listener_of_python_with_another_key_refuses() {
    with_each_python(|python, address, options| {
        let mut listener = run(python, FAILING_LISTENER, &address, "another");
        let found: Address = listener.line().parse().unwrap();
        assert_eq!(kind(options.connect(found)), ErrorKind::Rejected);
        assert_eq!(
            listener.finish(),
            "AuthenticationError digest received was wrong"
        );
    });
}

#[test]
fn client_of_python_that_knows_only_md5_is_refused() {
    with_each_python(|python, address, _| {
        let listener = options().bind(&address).unwrap();
        let client = run(python, FAILING_CLIENT, listener.local_address(), "sekret");
        if python.is_old() {
            assert_eq!(kind(listener.accept()), ErrorKind::WeakDigest);
            let said = "AuthenticationError digest sent was rejected";
            assert_eq!(client.finish(), said);
        } else {
            assert!(listener.accept().is_ok());
            assert_eq!(client.finish(), "");
        }
    });
}

#[test]
fn listener_of_python_that_knows_only_md5_is_refused() {
    with_each_python(|python, address, _| {
        let mut listener = run(python, FAILING_LISTENER, &address, "sekret");
        let found: Address = listener.line().parse().unwrap();
        let connected = options().connect(found);
        if python.is_old() {
            assert_eq!(kind(connected), ErrorKind::WeakDigest);
            // How it takes the end depends on what of it it sees first.
            let said = listener.finish();
            let ended = ["EOFError", "ConnectionResetError"];
            assert!(ended.iter().any(|name| said.starts_with(name)), "{said}");
        } else {
            assert!(connected.is_ok());
            assert_eq!(listener.finish(), "");
        }
    });
}

/// Without a key, since an empty one is none before Python 3.13, or is taken for one from then on.
const KEYLESS_CLIENT: &str = r"
with Client(address) as connection:
    connection.send_bytes(b'hello')
    connection.recv_bytes()
    print(connection.recv_bytes())
";

const KEYLESS_LISTENER: &str = r"
with Listener(address) as listener:
    print(text(listener.address), flush=True)
    with listener.accept() as connection:
        connection.send_bytes(b'hello')
        try:
            connection.recv_bytes()
        except (EOFError, ConnectionResetError):
            pass
";

#[test]
fn python_without_a_key_is_known_by_what_it_sends() {
    with_each_python(|python, address, options| {
        let listener = options.bind(&address).unwrap();
        let client = run(python, KEYLESS_CLIENT, listener.local_address(), "");
        assert_eq!(kind(listener.accept()), ErrorKind::NoKey);
        assert_eq!(client.finish(), "b'#FAILURE#'");
    });
    with_each_python(|python, address, options| {
        let mut listener = run(python, KEYLESS_LISTENER, &address, "");
        let found: Address = listener.line().parse().unwrap();
        assert_eq!(kind(options.connect(found)), ErrorKind::NoKey);
        assert_eq!(listener.finish(), "");
    });
}

/// The handshake of Python 3.12 and later by hand, for a Python of any version.
const NEW_HANDSHAKE: &str = r##"
def deliver(connection, digest="sha256"):
    message = b"{%s}" % digest.encode() + os.urandom(40)
    connection.send_bytes(b"#CHALLENGE#" + message)
    response = connection.recv_bytes(256)
    expected = b"{%s}" % digest.encode() + hmac.new(key, message, digest).digest()
    connection.send_bytes(b"#WELCOME#" if response == expected else b"#FAILURE#")
    assert response == expected, response
def answer(connection, digest="sha256"):
    message = connection.recv_bytes(256)
    assert message.startswith(b"#CHALLENGE#{sha256}"), message
    message = message[len(b"#CHALLENGE#"):]
    assert len(message) == 48, message
    connection.send_bytes(b"{%s}" % digest.encode() + hmac.new(key, message, digest).digest())
    assert connection.recv_bytes(256) == b"#WELCOME#"
"##;

const DIGESTS: [&str; 4] = ["sha256", "sha384", "sha3_256", "sha3_384"];

#[test]
fn new_handshake_is_spoken_with_a_client_in_python() {
    for digest in DIGESTS {
        with_each_python(|python, address, _| {
            let listener = options().bind(&address).unwrap();
            let program = format!(
                "{NEW_HANDSHAKE}
with Client(address) as connection:
    answer(connection, '{digest}')
    deliver(connection, '{digest}')
    echo(connection)"
            );
            let client = run(python, &program, listener.local_address(), "sekret");
            call_echo(&mut listener.accept().unwrap());
            assert_eq!(client.finish(), "");
        });
    }
}

#[test]
fn new_handshake_is_spoken_with_a_listener_in_python() {
    for digest in DIGESTS {
        with_each_python(|python, address, _| {
            let program = format!(
                "{NEW_HANDSHAKE}
with Listener(address) as listener:
    print(text(listener.address), flush=True)
    with listener.accept() as connection:
        deliver(connection, '{digest}')
        answer(connection)
        echo(connection)"
            );
            let mut listener = run(python, &program, &address, "sekret");
            let found: Address = listener.line().parse().unwrap();
            call_echo(&mut options().connect(found).unwrap());
            assert_eq!(listener.finish(), "");
        });
    }
}
