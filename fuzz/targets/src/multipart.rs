//! Forms with a file.
//!
//! Owns the promises of `multipart`: what is read from a damaged form stood in it, and a form that is put
//! together as browsers do it gives its parts back. Input: boundary, file name and description, a line each;
//! an empty line; the bytes of the form, which are the file of the second one too.

use so_server::http::v1::media::read_form;

pub(crate) fn run(data: &[u8]) {
    let split = data.windows(2).position(|two| two == b"\n\n");
    let (head, body) = match split {
        Some(at) => (&data[..at], &data[at + 2..]),
        None => (data, &[][..]),
    };
    let head = crate::text_of(head);
    let mut lines = head.lines();
    let mut line = || lines.next().unwrap_or_default();
    let (boundary, name, alt) = (line(), line(), line());
    damaged(boundary, body);
    whole(boundary, name, alt, body);
}

fn read(boundary: &str, body: Vec<u8>) -> Option<(String, String, Vec<u8>)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let content_type = format!("multipart/form-data; boundary={boundary}");
    let upload = runtime
        .block_on(read_form(&content_type, body.into()))
        .ok()?;
    Some((upload.name, upload.alt, upload.bytes.to_vec()))
}

fn damaged(boundary: &str, body: &[u8]) {
    let Some((_, alt, bytes)) = read(boundary, body.to_vec()) else {
        return;
    };
    for part in [alt.as_bytes(), &bytes] {
        let stood_there = part.is_empty() || body.windows(part.len()).any(|piece| piece == part);
        assert!(stood_there, "a part was made up");
    }
}

fn whole(boundary: &str, name: &str, alt: &str, file: &[u8]) {
    let is_boundary = (1..=70).contains(&boundary.len())
        && boundary
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_name = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    let delimiter = format!("--{boundary}").into_bytes();
    let holds = |part: &[u8]| {
        part.windows(delimiter.len())
            .any(|piece| piece == delimiter)
    };
    if !is_boundary || !is_name || holds(file) || holds(alt.as_bytes()) {
        return;
    }
    let mut form = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"alt\"\r\n\r\n{alt}\r\n--{boundary}\r\n\
         content-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\ncontent-type: image/png\r\n\r\n"
    )
    .into_bytes();
    form.extend_from_slice(file);
    form.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let came = read(boundary, form);
    assert_eq!(
        came,
        Some((name.to_owned(), alt.to_owned(), file.to_vec())),
        "a form was read otherwise"
    );
}
