use serde_json::json;

use super::refused;

#[test]
fn client_certificates() {
    refused(&[
        (
            "a place that there is not",
            json!({"client_certificate.from": "header"}),
            "client_certificate.from: expected one of connection, xfcc, got \"header\"",
        ),
        (
            "an element of a header that is not read",
            json!({"client_certificate.xfcc_element": 1}),
            "client_certificate.xfcc_element: expected none without `from: xfcc`, got one",
        ),
        (
            "an element before the first",
            json!({"client_certificate": {"from": "xfcc", "xfcc_element": -1}}),
            "client_certificate.xfcc_element: expected a whole number from 0 to 15, got -1",
        ),
        (
            "a rule that there is not",
            json!({"policies.default.require.sender_constrained": "required"}),
            "policies.default.require.sender_constrained: expected one of verify, require, ignore, got \"required\"",
        ),
    ]);
}
