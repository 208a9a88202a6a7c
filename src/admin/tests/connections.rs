//! Connections: the control socket and its client, limits, the end.

use super::*;

#[tokio::test]
async fn the_control_socket_speaks_the_same() {
    let daemon = Daemon::ready().await;
    let (status, text) = client::get(&daemon.socket, "/api/v1/names").await.unwrap();
    assert_eq!(status, 200);
    assert_eq!(
        from_text::<NamesDocument>(&text).unwrap(),
        NamesDocument::new(&table(), Some(1), None)
    );
    let parameters = [("name", "*.a+b&c=d.example"), ("type", "TXT")];
    let path = with_parameters("/api/v1/explain", &parameters);
    let (status, text) = client::get(&daemon.socket, &path).await.unwrap();
    let told: ExplainDocument = from_text(&text).unwrap();
    assert_eq!((status, told.name.as_str()), (200, "*.a+b&c=d.example"));
    assert_eq!(told.client.to_string(), "127.0.0.1");
    assert_eq!(client::get(&daemon.socket, "/nowhere").await.unwrap().0, 404);
}

#[tokio::test]
async fn a_daemon_that_cannot_be_asked_is_told_apart() {
    let home = tempfile::tempdir().unwrap();
    let gone = home.path().join("gone.sock");
    let error = client::get(&gone, "/").await.unwrap_err();
    assert!(matches!(error, ClientError::NoSocket { .. }), "{error}");
    assert!(error.to_string().contains("hubdns is not running"), "{error}");

    let left = home.path().join("left.sock");
    drop(UnixListener::bind(&left).unwrap());
    let error = client::get(&left, "/").await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { .. }), "{error}");

    let mute = home.path().join("mute.sock");
    let _listener = UnixListener::bind(&mute).unwrap();
    let error = ask_within(&mute, Method::GET, "/", String::new(), Duration::from_millis(50))
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");

    let rude = home.path().join("rude.sock");
    let listener = UnixListener::bind(&rude).unwrap();
    let tasks = TaskTracker::new();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"220 not HTTP\r\n").await.unwrap();
    });
    let error = client::get(&rude, "/").await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }), "{error}");

    let error = client::get(&rude, "no path").await.unwrap_err();
    assert!(matches!(error, ClientError::Path { .. }), "{error}");
    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let error = ClientError::connect(&gone, denied);
    assert!(error.to_string().contains("as root, or as a member of the group"), "{error}");
}

#[tokio::test]
async fn one_who_sends_nothing_more_makes_room_for_the_next() {
    let daemon = Daemon::ready().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits {
        connections: 1,
        head: Duration::from_millis(300),
        life: Duration::from_secs(60),
        grace: Duration::from_secs(1),
    };
    let router = daemon.admin.clone().router();
    let caller = |peer: &SocketAddr| Caller::Tcp(*peer);
    daemon.tasks.spawn(listen::accept(listener, caller, router, limits, daemon.shutdown.clone()));

    let whole = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
    for idle_after in ["", "GET /livez HTTP/1.1\r\nHost: a", whole] {
        let began = Instant::now();
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(idle_after.as_bytes()).await.unwrap();
        let mut next = TcpStream::connect(address).await.unwrap();
        let last = "GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        next.write_all(last.as_bytes()).await.unwrap();
        let mut text = String::new();
        next.read_to_string(&mut text).await.unwrap();
        assert!(text.ends_with("ok\n"), "{text}");
        assert!(limits.head <= began.elapsed(), "the second did not wait: {idle_after:?}");
        let mut rest = Vec::new();
        slow.read_to_end(&mut rest).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_ends_when_its_life_is_over() {
    let daemon = Daemon::ready().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits {
        connections: 1,
        head: Duration::from_secs(60),
        life: Duration::from_millis(200),
        grace: Duration::from_millis(200),
    };
    let router = daemon.admin.clone().router();
    let caller = |peer: &SocketAddr| Caller::Tcp(*peer);
    daemon.tasks.spawn(listen::accept(listener, caller, router, limits, daemon.shutdown.clone()));
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut text = String::new();
    let read = idle.read_to_string(&mut text);
    tokio::time::timeout(Duration::from_secs(10), read).await.unwrap().unwrap();
    assert!(text.ends_with("ok\n"), "{text}");
}

#[tokio::test]
async fn at_shutdown_listeners_close_and_idle_connections_end() {
    let daemon = Daemon::ready().await;
    let mut idle = TcpStream::connect(daemon.address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut some = [0; 16];
    idle.read_exact(&mut some).await.unwrap();
    daemon.shutdown.cancel();
    daemon.tasks.close();
    let ended = tokio::time::timeout(Duration::from_secs(4), daemon.tasks.wait()).await;
    assert!(ended.is_ok(), "an idle connection held the daemon up");
    assert!(TcpStream::connect(daemon.address).await.is_err());
}
