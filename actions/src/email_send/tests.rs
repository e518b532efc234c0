use so_testkit::counterpart::{Counterpart, or_skip};

use super::*;
use crate::tests::World;

fn config(host: &str, port: u16) -> MailConfig {
    MailConfig {
        host: host.into(),
        port,
        tls: MailTls::None,
        user: None,
        password: None,
        from: "Social <social@example.com>".into(),
    }
}

fn params(value: Value) -> Params {
    params::read(value).unwrap()
}

const NOW: so_model::Timestamp = so_model::Timestamp::from_micros(1_780_300_800_000_000);

#[test]
fn a_line_break_makes_no_second_header() {
    let params = params(
        json!({"to": ["ann@example.com"], "subject": "Hi\r\nBcc: eve@example.com", "text": "a"}),
    );
    let text = String::from_utf8(
        message(&config("h", 25), &params, "key", NOW)
            .unwrap()
            .formatted(),
    )
    .unwrap();
    assert!(!text.lines().any(|line| line.starts_with("Bcc")), "{text}");
    let params = self::params(
        json!({"to": ["ann@example.com\r\nBcc: eve@example.com"], "subject": "a", "text": "a"}),
    );
    assert!(message(&config("h", 25), &params, "key", NOW).is_err());
}

#[test]
fn every_try_of_a_step_has_the_same_message_id_and_another_step_another() {
    let params = params(json!({"to": ["ann@example.com"], "subject": "a", "text": "a"}));
    let id = |key: &str| {
        let message = message(&config("h", 25), &params, key, NOW).unwrap();
        message.headers().get_raw("Message-ID").unwrap().to_owned()
    };
    assert_eq!(id("run_1/steps/0"), id("run_1/steps/0"));
    assert_ne!(id("run_1/steps/0"), id("run_1/steps/1"));
    assert!(id("a").ends_with("@example.com>"));
}

#[test]
fn a_bad_address_is_named_by_its_field_and_not_repeated() {
    let params = params(json!({"to": ["ann@example.com", "nobody"], "subject": "a", "text": "a"}));
    let error = message(&config("h", 25), &params, "key", NOW).unwrap_err();
    assert!(
        error.message.starts_with("to/1: ") && !error.message.contains("nobody"),
        "{error}"
    );
}

const STEP: &str = "{id: mail, action: email.send, retry: {tries: 1}, with: {to: [RECIPIENT], subject: 'Grüße', text: 'Hällo', html: '<p>Hällo</p>'}}";

#[tokio::test]
async fn without_a_mail_server_the_step_says_what_to_do() {
    let mut world = World::new().await;
    let outcome = world
        .steps(&STEP.replace("RECIPIENT", "ann@example.com"))
        .await;
    assert_eq!(outcome.memo("mail").output["code"], "email.not_configured");
    assert!(outcome.error("mail").contains("mail settings"));
}

#[tokio::test]
async fn a_mail_arrives_with_text_html_and_its_id() {
    let Some(smtp) = or_skip(
        "a_mail_arrives_with_text_html_and_its_id",
        Counterpart::smtp(),
    ) else {
        return;
    };
    let config = config(&smtp.host, smtp.port);
    let mut world = World::with(|deps| deps.mailer = Some(config)).await;
    let outcome = world
        .steps(&STEP.replace("RECIPIENT", "ann@example.com"))
        .await;
    let id = outcome.output("mail")["message_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mails = smtp.received().unwrap();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].text.as_deref().map(str::trim), Some("Hällo"));
    assert_eq!(
        mails[0].html.as_deref().map(str::trim),
        Some("<p>Hällo</p>")
    );
    assert_eq!(mails[0].headers["message-id"], id);
}

#[tokio::test]
async fn a_refusal_is_final_and_a_busy_server_is_not() {
    let Some(smtp) = or_skip(
        "a_refusal_is_final_and_a_busy_server_is_not",
        Counterpart::smtp(),
    ) else {
        return;
    };
    let config = config(&smtp.host, smtp.port);
    let mut world = World::with(|deps| deps.mailer = Some(config)).await;
    for (to, code) in [
        ("reject550@example.com", "email.refused"),
        ("later451@example.com", "email.unavailable"),
    ] {
        let outcome = world.steps(&STEP.replace("RECIPIENT", to)).await;
        assert_eq!(outcome.memo("mail").output["code"], code);
        assert!(
            !outcome.error("mail").contains('@'),
            "{}",
            outcome.error("mail")
        );
    }
}
