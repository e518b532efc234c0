//! The listener over real sockets, and live streams.

use std::time::Duration;

use futures_util::StreamExt as _;
use so_model::{id::WorkspaceId, time::SECOND};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tower::ServiceExt as _;

use crate::{
    http::{listen, router},
    testing::{Person, TestApp},
};

/// A test that waits longer than this for something that must happen has failed.
const PATIENCE: Duration = Duration::from_secs(20);

async fn listening(
    test: &TestApp,
    header_timeout: Duration,
) -> (std::net::SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = listen::Limits {
        connections: 2,
        header_timeout,
        drain: Duration::from_secs(5),
    };
    let serving = listen::serve(test.app.clone(), listener, router(test.app.clone()), limits);
    (address, tokio::spawn(serving))
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut text))
        .await
        .unwrap()
        .unwrap();
    text
}

#[tokio::test]
async fn a_request_whose_head_does_not_arrive_is_cut_off() {
    let test = TestApp::new().await;
    let (address, _serving) = listening(&test, Duration::from_millis(100)).await;
    for sent in ["", "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: "] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let text = read_all(&mut stream).await;
        assert!(!text.contains("200 OK"), "{text}");
    }
    test.app.stopping.cancel();
}

#[tokio::test]
async fn requests_are_answered_and_the_server_ends_when_told() {
    let test = TestApp::new().await;
    let (address, serving) = listening(&test, Duration::from_secs(10)).await;
    // Twice as many as there are places: the later ones wait for a place.
    for _ in 0..4 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        assert!(read_all(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
    }
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    idle.readable().await.unwrap();
    test.app.stopping.cancel();
    tokio::time::timeout(PATIENCE, serving)
        .await
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

async fn open_stream(test: &TestApp, person: &Person) -> axum::body::BodyDataStream {
    let request = axum::http::Request::get(format!("/api/v1/workspaces/{}/live", person.workspace))
        .header("authorization", format!("Bearer {}", person.token))
        .body(axum::body::Body::empty())
        .unwrap();
    let response = router(test.app.clone()).oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response.into_body().into_data_stream()
}

/// The next event's text, past comments; none at the end of the stream.
async fn next(stream: &mut axum::body::BodyDataStream) -> Option<String> {
    loop {
        let chunk = tokio::time::timeout(PATIENCE, stream.next())
            .await
            .unwrap()?
            .unwrap();
        let text = String::from_utf8(chunk.to_vec()).unwrap();
        if !text.starts_with(':') {
            return Some(text);
        }
    }
}

#[tokio::test]
async fn a_stream_tells_of_its_own_workspace_only() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let mut stream = open_stream(&test, &ada).await;
    // The first comment shows that the stream listens.
    stream.next().await.unwrap().unwrap();
    test.app
        .engine
        .announce(WorkspaceId::derived(&["other"]), "post", "post_foreign");
    test.app
        .engine
        .announce(ada.workspace.parse().unwrap(), "post", "post_own");
    assert_eq!(
        next(&mut stream).await.unwrap(),
        "event: post\ndata: {\"id\":\"post_own\"}\n\n"
    );
}

#[tokio::test]
async fn a_stream_ends_after_its_session() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let mut stream = open_stream(&test, &ada).await;
    stream.next().await.unwrap().unwrap();
    test.call("POST", "/api/v1/auth/logout")
        .cookie(&ada.cookie)
        .send()
        .await
        .expect(204);
    test.clock.advance(SECOND);
    let begun = std::time::Instant::now();
    assert_eq!(next(&mut stream).await, None);
    assert!(begun.elapsed() <= Duration::from_secs(5));
}

#[tokio::test]
async fn a_stream_ends_when_the_server_does() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let mut stream = open_stream(&test, &ada).await;
    test.app.stopping.cancel();
    while next(&mut stream).await.is_some() {}
}
