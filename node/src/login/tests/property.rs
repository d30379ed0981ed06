//! Whatever strangers send, nothing panics, and nobody becomes somebody by it.

use proptest::prelude::*;

use super::*;

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(test)
}

/// Part of a token: something that is JSON, or is not.
fn part() -> impl Strategy<Value = String> {
    let json = "\\{\"(alg|kid|typ|sub|aud|iss|exp)\":(\"\\PC{0,12}\"|[0-9]{1,30}|null|\\[\\]|\\{\\})\\}";
    let encoded = json.prop_map(|text| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text));
    prop_oneof![encoded, "[A-Za-z0-9_=-]{0,40}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_headers_make_anybody_somebody(
        tokens in prop::collection::vec((part(), part(), part()), 20),
        garbage in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 20),
    ) {
        run(async move {
            let world = World::new().await;
            for (header, claims, signature) in tokens {
                let outcome = world.bearer(&format!("{header}.{claims}.{signature}")).await;
                assert!(outcome.is_err(), "{outcome:?}");
            }
            for garbage in garbage {
                let Ok(value) = HeaderValue::from_bytes(&garbage) else { continue };
                let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
                assert!(world.login.identify(&headers, &world.client, Leeway::Upload).await.is_err());
            }
        });
    }

    #[test]
    fn no_request_makes_the_service_panic(
        queries in prop::collection::vec("(scope=|service=|account=|&|%[0-9a-z]{0,2}|repository:|[a-z/:,*+]){0,12}", 20),
        forms in prop::collection::vec("((grant_type|refresh_token|subject_token|scope)=(password|refresh_token|[a-z.:%+-]{0,20})&){0,5}", 20),
    ) {
        run(async move {
            let world = World::new().await;
            for query in queries {
                let status = world.get(&query, None).await.0;
                assert!(status == StatusCode::OK || status == StatusCode::BAD_REQUEST, "{query}: {status}");
            }
            for form in forms {
                let status = world.post(&form).await.0;
                assert!(status.is_success() || status.is_client_error(), "{form}: {status}");
            }
        });
    }
}
