//! What callers are told about the wire. Owns the failure cases; must not judge addresses (see `canary`).
//! Invariant: a case the server saw is never reported as not sent.

use std::time::Duration;

use futures_util::StreamExt;

use super::*;
use crate::{
    BodyStream, Bytes, Multipart, NetError, OutboundRequest, PartContent, Purpose, Redirects, Sent,
};

async fn send(
    server: &Server,
    request: OutboundRequest,
) -> Result<crate::OutboundResponse, NetError> {
    outbound(&[&server.address.to_string()], Names::default())
        .send(request)
        .await
}

fn chunks(pieces: &[&'static str]) -> BodyStream {
    futures_util::stream::iter(
        pieces
            .iter()
            .map(|p| Ok(Bytes::from_static(p.as_bytes())))
            .collect::<Vec<_>>(),
    )
    .boxed()
}

#[tokio::test]
async fn failures_before_the_request_say_that_nothing_was_sent() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let client = outbound(&[&closed.to_string(), "gone.example:*"], Names::default());
    let refused = client
        .send(OutboundRequest::post(format!(
            "http://{closed}/?token=hush"
        )))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, NetError::ConnectRefused { .. }),
        "{refused:?}"
    );
    let unknown = client
        .send(OutboundRequest::post("https://gone.example/hush"))
        .await
        .unwrap_err();
    assert!(matches!(unknown, NetError::Dns { .. }), "{unknown:?}");
    let plain = Server::answering("127.0.0.1:0", &[b"this is no TLS at all\r\n"]).await;
    let tls = send(
        &plain,
        OutboundRequest::post(format!("https://{}/hush", plain.address)),
    )
    .await
    .unwrap_err();
    assert!(matches!(tls, NetError::Tls { .. }), "{tls:?}");
    let silent = Server::answering("127.0.0.1:0", &[b""]).await;
    let hung_up = send(
        &silent,
        OutboundRequest::post(format!("https://{}/hush", silent.address)),
    )
    .await
    .unwrap_err();
    assert!(
        matches!(
            hung_up,
            NetError::Tls { .. } | NetError::ConnectFailed { .. }
        ),
        "{hung_up:?}"
    );
    for error in [refused, unknown, tls, hung_up] {
        assert_eq!(error.was_sent(), Sent::No, "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
}

/// An answer and what it has to be reported as.
type Case = (&'static [u8], fn(&NetError) -> bool);

#[tokio::test]
async fn failures_after_the_request_say_that_it_may_have_been_taken() {
    let cases: [Case; 4] = [
        (b"", |e| matches!(e, NetError::ConnectionCut { .. })),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nshort", |e| {
            matches!(e, NetError::ConnectionCut { .. } | NetError::Garbage { .. })
        }),
        (b"220 mail.example ESMTP\r\n", |e| {
            matches!(e, NetError::Garbage { .. })
        }),
        (
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\nnot gzip!",
            |e| matches!(e, NetError::Garbage { .. }),
        ),
    ];
    for (answer, expected) in cases {
        let server = Server::answering("127.0.0.1:0", &[answer]).await;
        let error = send(
            &server,
            OutboundRequest::post(server.url("/?t=hush")).bytes("hush"),
        )
        .await
        .unwrap_err();
        assert!(expected(&error), "{error:?}");
        assert_eq!(error.was_sent(), Sent::Maybe, "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
        assert_eq!(server.connections(), 1, "nothing was repeated");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_left_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let outbound = outbound(&[&address.to_string()], Names::default());
    let request =
        OutboundRequest::post(format!("http://{address}/")).deadline(Duration::from_millis(50));
    let error = outbound.send(request).await.unwrap_err();
    assert!(
        matches!(error, NetError::TimedOutAfterSend { .. }),
        "{error:?}"
    );
    assert_eq!(error.was_sent(), Sent::Maybe);
}

#[tokio::test]
async fn a_body_that_trickles_forever_ends_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();

    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await;
        let _ = socket
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n")
            .await;
        std::future::pending::<()>().await;
    });
    let outbound = outbound(&[&address.to_string()], Names::default());
    let request =
        OutboundRequest::get(format!("http://{address}/")).deadline(Duration::from_millis(50));
    let error = outbound.send(request).await.unwrap_err();
    assert!(
        matches!(error, NetError::TimedOutAfterSend { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn bodies_are_capped_declared_or_not_and_after_decompression() {
    let big = ok(&"x".repeat(5000));
    let mut undeclared = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    undeclared.extend(vec![b'x'; 5000]);
    for answer in [big, undeclared, gzip_bomb()] {
        let server = Server::answering("127.0.0.1:0", &[&answer]).await;
        let error = send(
            &server,
            OutboundRequest::get(server.url("/")).max_response_bytes(4999),
        )
        .await
        .unwrap_err();
        assert!(
            matches!(error, NetError::BodyTooLarge { limit: 4999, .. }),
            "{error:?}"
        );
    }
    let server = Server::answering("127.0.0.1:0", &[&gzip_bomb()]).await;
    let raw = send(
        &server,
        OutboundRequest::get(server.url("/")).purpose(Purpose::Media),
    )
    .await
    .unwrap();
    assert!(raw.body.len() < 200, "media is not decompressed");
    let server = Server::answering("127.0.0.1:0", &[&gzip_bomb()]).await;
    let decoded = send(&server, OutboundRequest::get(server.url("/")))
        .await
        .unwrap();
    assert_eq!(decoded.body.len(), 20_000);
    assert!(server.request(0).contains("accept-encoding: gzip"));
}

fn gzip_bomb() -> Vec<u8> {
    let body: &[u8] = GZIP_OF_ZEROS;
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// 20 000 zero bytes in gzip.
const GZIP_OF_ZEROS: &[u8] = &[
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 237, 193, 49, 1, 0, 0, 0, 194, 160, 245, 79, 109, 13, 15, 160,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 120, 48, 2, 83, 47, 151, 32, 78, 0, 0,
];

#[tokio::test]
async fn a_post_is_never_redirected() {
    let server = Server::answering("127.0.0.1:0", &[&redirect(307, "/again"), &ok("second")]).await;
    let request = OutboundRequest::post(server.url("/"))
        .bytes("x")
        .redirects(Redirects::Follow(3));
    let answer = send(&server, request).await.unwrap();
    assert_eq!((answer.status, server.connections()), (307, 1));
}

#[tokio::test]
async fn a_get_follows_as_far_as_it_may_and_no_further() {
    let loops = Server::answering("127.0.0.1:0", &[&redirect(302, "/again")]).await;
    let request = OutboundRequest::get(loops.url("/")).redirects(Redirects::Follow(200));
    let error = send(&loops, request).await.unwrap_err();
    assert!(
        matches!(error, NetError::TooManyRedirects { limit: 3, .. }),
        "{error:?}"
    );
    assert_eq!(loops.connections(), 4);
    let server = Server::answering("127.0.0.1:0", &[&redirect(301, "/a/b"), &ok("there")]).await;
    let answer = send(
        &server,
        OutboundRequest::get(server.url("/")).redirects(Redirects::Follow(1)),
    )
    .await
    .unwrap();
    assert_eq!(
        (answer.final_url.path(), answer.text().as_ref()),
        ("/a/b", "there")
    );
    let server = Server::answering("127.0.0.1:0", &[&redirect(301, "/a/b")]).await;
    assert_eq!(
        send(&server, OutboundRequest::get(server.url("/")))
            .await
            .unwrap()
            .status,
        301
    );
    let nowhere = Server::answering(
        "127.0.0.1:0",
        &[b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n"],
    )
    .await;
    let request = OutboundRequest::get(nowhere.url("/")).redirects(Redirects::Follow(1));
    assert!(matches!(
        send(&nowhere, request).await,
        Err(NetError::BadRedirect { .. })
    ));
}

#[tokio::test]
async fn secrets_do_not_follow_a_redirect_to_another_origin() {
    let target = Server::answering("127.0.0.1:0", &[&ok("there")]).await;
    let front = Server::answering(
        "127.0.0.1:0",
        &[&redirect(302, "/same"), &redirect(302, &target.url("/"))],
    )
    .await;
    let outbound = outbound(
        &[&front.address.to_string(), &target.address.to_string()],
        Names::default(),
    );
    let request = OutboundRequest::get(front.url("/"))
        .bearer("hush")
        .header("x-api-key", "hush")
        .header("cookie", "hush")
        .header("accept", "text/plain")
        .redirects(Redirects::Follow(3));
    assert!(outbound.send(request).await.is_ok());
    assert!(
        front.request(1).contains("Bearer hush"),
        "the same origin keeps them"
    );
    assert!(!target.request(0).contains("hush"), "{}", target.request(0));
    assert!(target.request(0).contains("accept: text/plain"));
    assert!(!target.request(0).contains("referer"));
}

#[tokio::test]
async fn bodies_of_every_kind_arrive_whole() {
    let server = Server::answering("127.0.0.1:0", &[&ok("")]).await;
    send(
        &server,
        OutboundRequest::post(server.url("/")).stream(chunks(&["ab", "cd"]), Some(4)),
    )
    .await
    .unwrap();
    assert!(
        server.request(0).contains("content-length: 4")
            && server.request(0).ends_with("\r\n\r\nabcd")
    );
    send(
        &server,
        OutboundRequest::post(server.url("/")).stream(chunks(&["ab", "cd"]), None),
    )
    .await
    .unwrap();
    assert!(server.request(1).contains("transfer-encoding: chunked"));
    send(
        &server,
        OutboundRequest::post(server.url("/")).form(&[("a b", "c&d")]),
    )
    .await
    .unwrap();
    assert!(server.request(2).ends_with("a+b=c%26d"));
    let content = PartContent::Stream {
        stream: chunks(&["GIF", "89a"]),
        length: 6,
    };
    let form = Multipart::new()
        .text("status", "hi")
        .file("media", "a.gif", "image/gif", content);
    send(
        &server,
        OutboundRequest::post(server.url("/")).multipart(form),
    )
    .await
    .unwrap();
    let sent = server.request(3);
    assert!(
        sent.contains("content-length: ") && sent.contains("filename=\"a.gif\""),
        "{sent}"
    );
    assert!(
        sent.contains("Content-Type: image/gif") && sent.contains("GIF89a"),
        "{sent}"
    );
}

#[tokio::test]
async fn a_body_that_fails_midway_is_reported_as_perhaps_sent() {
    let server = Server::answering("127.0.0.1:0", &[&ok("")]).await;
    let broken = futures_util::stream::iter([
        Ok(Bytes::from_static(b"ab")),
        Err(std::io::Error::other("disk gone")),
    ])
    .boxed();
    let error = send(
        &server,
        OutboundRequest::post(server.url("/")).stream(broken, Some(4)),
    )
    .await
    .unwrap_err();
    assert!(matches!(error, NetError::UploadFailed { .. }), "{error:?}");
    assert_eq!(error.was_sent(), Sent::Maybe);
}

#[tokio::test]
async fn headers_are_read_in_any_case_and_statuses_are_answers() {
    let server = Server::answering(
        "127.0.0.1:0",
        &[b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\ncontent-length: 0\r\n\r\n"],
    )
    .await;
    let answer = send(&server, OutboundRequest::get(server.url("/")))
        .await
        .unwrap();
    assert_eq!(
        (answer.status, answer.header("RETRY-after")),
        (503, Some("7"))
    );
    assert_eq!(answer.retry_after(0), Some(Duration::from_secs(7)));
    assert!(
        server
            .request(0)
            .contains("user-agent: SocialOrchestrator/")
    );
}

fn takes_an_oauth_client<'c>(_: &'c impl oauth2::AsyncHttpClient<'c>) {}

#[tokio::test]
async fn the_oauth2_crate_can_send_through_us() {
    let server = Server::answering("127.0.0.1:0", &[&ok("{\"access_token\":\"t\"}")]).await;
    let outbound = outbound(&[&server.address.to_string()], Names::default());
    let client = outbound.oauth_client();
    takes_an_oauth_client(&client);
    let request = http::Request::post(server.url("/token")).header("accept", "application/json");
    let answer = client(request.body(b"grant_type=x".to_vec()).unwrap())
        .await
        .unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.body().as_slice()),
        (200, b"{\"access_token\":\"t\"}".as_slice())
    );
    assert!(server.request(0).ends_with("grant_type=x"));
    let private = http::Request::post("https://127.0.0.1/token")
        .body(Vec::new())
        .unwrap();
    assert_eq!(client(private).await.unwrap_err().was_sent(), Sent::No);
}
