//! Proof on the wire: canaries listen on loopback and must hear nothing.
//! Owns the forms tried; must not reach beyond loopback. Invariant: counts come from the listeners.

use super::*;
use crate::{BlockReason, NetError, OutboundRequest, Purpose, Redirects, Sent};

fn get(url: impl Into<String>) -> OutboundRequest {
    OutboundRequest::get(url)
        .allow_http(true)
        .redirects(Redirects::Follow(3))
}

fn assert_private(error: &NetError, what: &str) {
    assert!(
        matches!(error.block_reason(), Some(BlockReason::PrivateAddress(_))),
        "{what}: {error:?}"
    );
}

#[tokio::test]
async fn literals_and_names_of_loopback_reach_no_canary() {
    let canary = Server::answering("127.0.0.1:0", &[&ok("secret")]).await;
    let port = canary.address.port();
    // The port is opened for an address that is not ours, so that only the address can be the reason.
    let rule = format!("198.51.100.0/24:{port}");
    let names = Names::default()
        .with("a.example", &[&["127.0.0.1"]])
        .with("mapped.example", &[&["::ffff:127.0.0.1"]])
        .with("mixed.example", &[&["10.0.0.1", "127.0.0.1", "::1"]])
        .with("localhost", &[&["127.0.0.1", "::1"]]);
    let outbound = outbound(&[&rule], names);
    let hosts = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[::7f00:1]",
        "127.0.0.1.",
        "a.example",
        "A.Example.",
        "mapped.example",
        "mixed.example",
        "localhost",
    ];
    for host in hosts {
        for purpose in [
            Purpose::Publish,
            Purpose::Feed,
            Purpose::Webhook,
            Purpose::Media,
            Purpose::Auth,
            Purpose::Other,
        ] {
            let url = format!("http://{host}:{port}/");
            let Err(error) = outbound.send(get(url).purpose(purpose)).await else {
                panic!("{host} was reached")
            };
            if !host.ends_with("ample.") {
                assert_private(&error, host);
            }
            assert_eq!(error.was_sent(), Sent::No, "{host}");
        }
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn an_allow_listed_address_is_reached_by_literal_and_by_name() {
    let server = Server::answering("127.0.0.1:0", &[&ok("hello")]).await;
    let port = server.address.port();
    let names = || Names::default().with("social.lan", &[&["127.0.0.1"]]);
    let by_address = outbound(&[&format!("127.0.0.1:{port}")], names());
    let answer = by_address
        .send(OutboundRequest::get(server.url("/")))
        .await
        .unwrap();
    assert_eq!((answer.status, answer.text().as_ref()), (200, "hello"));
    let named = format!("http://social.lan:{port}/");
    assert!(by_address.send(get(&*named)).await.is_ok());
    let by_name = outbound(&[&format!("social.lan:{port}")], names());
    assert!(by_name.send(OutboundRequest::get(&*named)).await.is_ok());
    assert_private(
        &by_name.send(get(server.url("/"))).await.unwrap_err(),
        "the address under a name's rule",
    );
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_rule_for_one_port_opens_no_other_port_of_the_name() {
    let allowed = Server::answering("127.0.0.1:0", &[&ok("hello")]).await;
    let canary = Server::answering("127.0.0.1:0", &[&ok("secret")]).await;
    let names = Names::default().with("social.lan", &[&["127.0.0.1"]]);
    let port = canary.address.port();
    let rules = [
        format!("127.0.0.1:{}", allowed.address.port()),
        format!("198.51.100.0/24:{port}"),
    ];
    let outbound = outbound(&[&rules[0], &rules[1]], names);
    assert!(
        outbound
            .send(get(format!(
                "http://social.lan:{}/",
                allowed.address.port()
            )))
            .await
            .is_ok()
    );
    assert_private(
        &outbound
            .send(get(format!("http://social.lan:{port}/")))
            .await
            .unwrap_err(),
        "other port",
    );
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_not_followed() {
    let canary = Server::answering("127.0.0.1:0", &[&ok("secret")]).await;
    let port = canary.address.port();
    let opened = format!("198.51.100.0/24:{port}");
    let targets = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://inside.example:{port}/"),
        format!("//127.0.0.1:{port}/"),
    ];
    for target in targets {
        for status in [301, 302, 303, 307, 308] {
            let front = Server::answering("127.0.0.1:0", &[&redirect(status, &target)]).await;
            let rule = front.address.to_string();
            let names = Names::default().with("inside.example", &[&["127.0.0.1"]]);
            let outbound = outbound(&[&rule, &opened], names);
            let error = outbound.send(get(front.url("/"))).await.unwrap_err();
            assert_private(&error, &target);
            assert_eq!(error.was_sent(), Sent::Maybe, "the first hop was sent");
            assert_eq!(front.connections(), 1);
        }
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn a_redirect_to_another_scheme_or_with_credentials_is_not_followed() {
    for target in [
        "file:///etc/passwd",
        "ftp://a.example/",
        "http://user:pw@127.0.0.1/",
        "gopher://127.0.0.1:70/",
    ] {
        let front = Server::answering("127.0.0.1:0", &[&redirect(302, target)]).await;
        let rule = front.address.to_string();
        let error = outbound(&[&rule], Names::default())
            .send(get(front.url("/")))
            .await
            .unwrap_err();
        assert!(error.block_reason().is_some(), "{target}: {error:?}");
    }
}

#[cfg(target_os = "linux")] // elsewhere 127.0.0.2 is not loopback without being set up
#[tokio::test]
async fn a_name_that_changes_its_answer_is_judged_anew_for_each_connection() {
    let first = Server::answering("127.0.0.2:0", &[&ok("hello")]).await;
    let port = first.address.port();
    let canary = Server::answering(&format!("127.0.0.1:{port}"), &[&ok("secret")]).await;
    let names = Names::default().with("rebind.example", &[&["127.0.0.2"], &["127.0.0.1"]]);
    let outbound = outbound(&[&format!("127.0.0.2:{port}")], names);
    let url = format!("http://rebind.example:{port}/");
    assert!(outbound.send(get(&*url)).await.is_ok());
    assert_private(
        &outbound.send(get(&*url)).await.unwrap_err(),
        "second answer",
    );
    assert_eq!((first.connections(), canary.connections()), (1, 0));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn only_the_permitted_addresses_of_a_mixed_answer_are_tried() {
    let good = Server::answering("127.0.0.2:0", &[&ok("hello")]).await;
    let port = good.address.port();
    let canary = Server::answering(&format!("127.0.0.1:{port}"), &[&ok("secret")]).await;
    let names = Names::default().with("mixed.example", &[&["127.0.0.1", "127.0.0.2"]]);
    let outbound = outbound(&[&format!("127.0.0.2:{port}")], names);
    let answer = outbound
        .send(get(format!("http://mixed.example:{port}/")))
        .await
        .unwrap();
    assert_eq!(answer.text(), "hello");
    assert_eq!(canary.connections(), 0);
}

const CHILD: &str = "SO_NET_TEST_PROXY_CHILD";

#[tokio::test]
async fn proxy_variables_are_ignored() {
    let server = Server::answering("127.0.0.1:0", &[&ok("direct")]).await;
    if std::env::var_os(CHILD).is_some() {
        let outbound = outbound(&[&server.address.to_string()], Names::default());
        let answer = outbound.send(get(server.url("/"))).await.unwrap();
        assert_eq!(answer.text(), "direct");
        return;
    }
    // A process cannot safely change its own environment: run this test again in a child that has it.
    let proxy = Server::answering("127.0.0.1:0", &[&ok("proxied")]).await;
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "tests::canary::proxy_variables_are_ignored"])
        .env(CHILD, "1");
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ] {
        child.env(name, proxy.url(""));
    }
    let output = child
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .output()
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    assert_eq!(proxy.connections(), 0);
}
