//! Would this call be taken?

use so_model::api::preview::{PreviewSignature, SignaturePreview};
use so_triggers::webhook::verify;

use crate::app::{App, webhooks::verification};

/// Verifies a call as a webhook would, now.
pub fn signature(app: &App, request: &PreviewSignature) -> SignaturePreview {
    let header = |name: &str| {
        let mut all = request.headers.iter();
        all.find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    };
    let scheme = verification(&request.verify);
    let reason = verify(
        &scheme,
        &request.secret,
        header,
        request.body.as_bytes(),
        app.now().seconds(),
    )
    .err();
    SignaturePreview {
        is_valid: reason.is_none(),
        reason: reason.map(|error| error.to_string()),
    }
}
