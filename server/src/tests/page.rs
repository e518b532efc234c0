//! The page, the explorer and the document.

use crate::testing::TestApp;

#[tokio::test]
async fn addresses_of_the_page_get_the_page_and_missing_files_do_not() {
    let test = TestApp::new().await;
    for path in ["/", "/posts", "/posts/post_1/edit"] {
        let answer = test.call("GET", path).send().await.expect(200);
        assert_eq!(
            answer.header("content-type"),
            "text/html; charset=utf-8",
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), "no-cache", "{path}");
        assert!(answer.text.contains("SocialOrchestrator"), "{path}");
    }
    for path in [
        "/assets/missing-12345678.js",
        "/../Cargo.toml",
        "/..%2fCargo.toml",
        "/index.html.br",
        "/.env",
    ] {
        test.call("GET", path).send().await.expect(404);
    }
    test.call("POST", "/").send().await.expect(405);
}

#[tokio::test]
async fn the_explorer_loads_nothing_from_elsewhere_and_nothing_inline() {
    let test = TestApp::new().await;
    let page = test.call("GET", "/api/docs").send().await.expect(200).text;
    assert!(
        !page.contains("http://") && !page.contains("https://") && !page.contains("style="),
        "{page}"
    );
    for line in page
        .lines()
        .filter(|line| line.contains("<script") || line.contains("<link"))
    {
        assert!(line.contains("\"/api/docs/explorer."), "{line}");
    }
    for file in ["explorer.js", "explorer.css"] {
        let text = test
            .call("GET", &format!("/api/docs/{file}"))
            .send()
            .await
            .expect(200)
            .text;
        assert!(
            !text.contains("://") && !text.contains("innerHTML") && !text.contains("eval("),
            "{file}"
        );
    }
}

#[tokio::test]
async fn the_document_is_served() {
    let test = TestApp::new().await;
    let answer = test
        .call("GET", "/api/openapi.json")
        .send()
        .await
        .expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(answer.body["paths"]["/api/v1/me"]["get"].is_object());
}
