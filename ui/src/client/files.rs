//! Files that a person chose: reading them, and sending them as they are.
//!
//! Invariant: a file's bytes never pass through this module's memory when they are sent; the browser streams them.

use gloo_net::http::RequestBuilder;
use serde::de::DeserializeOwned;
use so_model::problem::Problem;
use wasm_bindgen_futures::JsFuture;
use web_sys::File;

use super::{BASE, Client, dispatch, failure};

/// The text of a file.
pub async fn read_text(file: &File) -> Result<String, Problem> {
    let text = JsFuture::from(file.text()).await.ok();
    text.and_then(|text| text.as_string()).ok_or_else(|| {
        Problem::new(0, "client.file", "The file could not be read")
            .detail("The browser did not give its text.")
            .next_step("Choose it again.")
    })
}

impl Client {
    /// Sends a file as the part `file` of a form, and once more with a new token when the old one is over.
    pub async fn upload<T: DeserializeOwned>(self, path: &str, file: &File) -> Result<T, Problem> {
        let used = self.0.access.borrow().clone();
        let first = dispatch(self.file_request(path, file)?).await?;
        let response = if first.status() == 401 {
            if *self.0.access.borrow() == used {
                self.refresh().await?;
            }
            dispatch(self.file_request(path, file)?).await?
        } else {
            first
        };
        failure::decode(&failure::accept(response).await?)
    }

    fn file_request(self, path: &str, file: &File) -> Result<gloo_net::http::Request, Problem> {
        let mut builder = RequestBuilder::new(&format!("{BASE}{path}"))
            .method(gloo_net::http::Method::POST)
            .header("accept", "application/json, application/problem+json");
        if let Some(token) = &*self.0.access.borrow() {
            builder = builder.header("authorization", &format!("Bearer {token}"));
        }
        // Without a content type of ours: the browser writes the form's boundary into its own.
        let form = web_sys::FormData::new().and_then(|form| {
            form.append_with_blob_and_filename("file", file, &file.name())?;
            Ok(form)
        });
        let malformed = || failure::malformed("the request could not be put together");
        let form = form.map_err(|_| malformed())?;
        builder.body(form).map_err(|_| malformed())
    }
}
