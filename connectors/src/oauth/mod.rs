//! The OAuth 2 client that networks share.
//!
//! Owns the code flow with PKCE and the renewal of tokens. Must not store
//! anything: tokens go back to the caller. Invariant: a refresh token is never
//! replaced by nothing, because many servers leave it out when it stays valid.

mod refresher;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, ExtraTokenFields,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope,
    StandardRevocableToken, StandardTokenResponse, TokenResponse as _, TokenUrl,
    basic::{
        BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse,
        BasicTokenIntrospectionResponse, BasicTokenType,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use so_model::Timestamp;
use so_net::NetError;

pub use refresher::{MAX_FLIGHTS, Refresher, TokenVault};

use crate::{
    context::Cx,
    error::{ConnectorError, ErrorClass},
    secret::SecretValue,
};

/// Members of a token answer beyond the standard ones, kept as they came.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Extra {
    /// Those members.
    #[serde(flatten)]
    pub members: Map<String, Value>,
}
impl ExtraTokenFields for Extra {}

type Client<A, T> = oauth2::Client<
    BasicErrorResponse,
    StandardTokenResponse<Extra, BasicTokenType>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    A,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    T,
>;

/// An app registered at a network.
#[derive(Clone)]
pub struct OAuthApp<'a> {
    /// The network's key, for error codes.
    pub network: &'a str,
    /// Public name of the app.
    pub client_id: &'a str,
    /// Its secret, unless it is a public client.
    pub client_secret: Option<&'a str>,
    /// Where people are sent.
    pub authorize_url: &'a str,
    /// Where tokens are given.
    pub token_url: &'a str,
    /// Where people come back to.
    pub redirect_uri: &'a str,
    /// The secret goes into the header instead of the body.
    pub basic_auth: bool,
}

/// What a token endpoint gave.
pub struct Tokens {
    /// `access_token`, `refresh_token` if given, `scope`, and further members.
    pub token: SecretValue,
    /// When the access token ends.
    pub expires_at: Option<Timestamp>,
}

/// A verifier made of the call's own randomness; 43 characters, as PKCE demands.
pub fn pkce_verifier(random: &[u8; 32]) -> String {
    let digest = Sha256::new()
        .chain_update(b"pkce")
        .chain_update(random)
        .finalize();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest)
}

impl OAuthApp<'_> {
    /// The address people are sent to, with a PKCE challenge of `verifier`.
    pub fn authorize(
        &self,
        scopes: &[String],
        state: &str,
        verifier: &str,
        extra: &[(&str, &str)],
    ) -> Result<String, ConnectorError> {
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(
            verifier.to_owned(),
        ));
        let client = self.client()?;
        let state = state.to_owned();
        let mut request = client
            .authorize_url(move || CsrfToken::new(state))
            .add_scopes(scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(challenge);
        for (name, value) in extra {
            request = request.add_extra_param((*name).to_owned(), (*value).to_owned());
        }
        Ok(request.url().0.into())
    }

    /// Trades the code for tokens.
    pub async fn exchange(
        &self,
        cx: &Cx,
        code: &str,
        verifier: &str,
    ) -> Result<Tokens, ConnectorError> {
        let http = cx.outbound.oauth_client();
        let answer = self
            .client()?
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()))
            .request_async(&http)
            .await
            .map_err(|error| self.failure(&error))?;
        self.tokens(cx, &answer)
    }

    /// Renews `old`; what the answer leaves out is kept.
    pub async fn refresh(&self, cx: &Cx, old: &SecretValue) -> Result<Tokens, ConnectorError> {
        let Some(refresh_token) = old.text("refresh_token") else {
            return Err(self.reconnect("there is nothing to renew it with"));
        };
        let http = cx.outbound.oauth_client();
        let refresh_token = RefreshToken::new(refresh_token.to_owned());
        let answer = self
            .client()?
            .exchange_refresh_token(&refresh_token)
            .request_async(&http)
            .await
            .map_err(|error| self.failure(&error))?;
        let new = self.tokens(cx, &answer)?;
        Ok(Tokens {
            token: merge(old, &new.token),
            expires_at: new.expires_at,
        })
    }

    fn client(&self) -> Result<Client<oauth2::EndpointSet, oauth2::EndpointSet>, ConnectorError> {
        let bad = |_| {
            ConnectorError::new(
                ErrorClass::Config,
                format!("{}.oauth_address", self.network),
                "An address of the network's sign-in cannot be read.",
            )
        };
        let auth_type = if self.basic_auth {
            AuthType::BasicAuth
        } else {
            AuthType::RequestBody
        };
        let mut client =
            oauth2::Client::new(ClientId::new(self.client_id.to_owned())).set_auth_type(auth_type);
        if let Some(secret) = self.client_secret {
            client = client.set_client_secret(ClientSecret::new(secret.to_owned()));
        }
        Ok(client
            .set_auth_uri(AuthUrl::new(self.authorize_url.to_owned()).map_err(bad)?)
            .set_token_uri(TokenUrl::new(self.token_url.to_owned()).map_err(bad)?)
            .set_redirect_uri(RedirectUrl::new(self.redirect_uri.to_owned()).map_err(bad)?))
    }

    fn tokens(
        &self,
        cx: &Cx,
        answer: &StandardTokenResponse<Extra, BasicTokenType>,
    ) -> Result<Tokens, ConnectorError> {
        let mut token = answer.extra_fields().members.clone();
        token.insert(
            "access_token".into(),
            answer.access_token().secret().clone().into(),
        );
        if let Some(refresh) = answer.refresh_token() {
            token.insert("refresh_token".into(), refresh.secret().clone().into());
        }
        if let Some(scopes) = answer.scopes() {
            let text: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
            token.insert("scope".into(), text.join(" ").into());
        }
        let expires_at = answer
            .expires_in()
            .and_then(|left| i64::try_from(left.as_micros()).ok())
            .map(|left| cx.now.plus(left));
        Ok(Tokens {
            token: SecretValue::new(Value::Object(token)),
            expires_at,
        })
    }

    fn failure(&self, error: &RequestTokenError<NetError, BasicErrorResponse>) -> ConnectorError {
        match error {
            RequestTokenError::Request(error) => ConnectorError::from_net(self.network, error),
            RequestTokenError::ServerResponse(answer) => match answer.error() {
                BasicErrorResponseType::InvalidGrant => self.reconnect("the network no longer accepts the sign-in"),
                BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient => {
                    ConnectorError::new(
                        ErrorClass::Config,
                        format!("{}.invalid_client", self.network),
                        "The network does not know this app any more.",
                    )
                    .next_step("Start the sign-in again; for a network with its own app check its id and secret.")
                }
                other => ConnectorError::new(
                    ErrorClass::Reconnect,
                    format!("{}.sign_in_refused", self.network),
                    format!("The network refused the sign-in: {}.", other.as_ref()),
                )
                .next_step("Connect the account again."),
            },
            // The body may hold a token: it is not repeated.
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => ConnectorError::garbled(self.network, 200),
        }
    }

    fn reconnect(&self, why: &str) -> ConnectorError {
        ConnectorError::new(
            ErrorClass::Reconnect,
            format!("{}.token_ended", self.network),
            format!("The access to this account has ended: {why}."),
        )
        .next_step("Connect the account again.")
    }
}

/// The old secret with what the new one has; nothing is ever replaced by nothing.
pub fn merge(old: &SecretValue, new: &SecretValue) -> SecretValue {
    let mut merged = old.expose().as_object().cloned().unwrap_or_default();
    for (key, value) in new.expose().as_object().into_iter().flatten() {
        let is_nothing = value.is_null() || value.as_str().is_some_and(str::is_empty);
        if !is_nothing {
            merged.insert(key.clone(), value.clone());
        }
    }
    SecretValue::new(Value::Object(merged))
}
