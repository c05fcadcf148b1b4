package redact

import (
	"encoding/base64"
	"strings"
	"testing"
)

const pem = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIEowIBAAKCAQEA+hunter2/\nhunter2==\n-----END RSA PRIVATE KEY-----"

func ignore(string) {}

func TestForms(t *testing.T) {
	const jwt = "eyJhbGciOiJSUzI1NiIsImtpZCI6Imh1bnRlcjIifQ.eyJpc3MiOiJrdWJlcm5ldGVzL2h1bnRlcjIifQ.aHVudGVyMg-_hunter2"
	encoded := base64.StdEncoding.EncodeToString([]byte(pem))
	for name, test := range map[string]struct{ text, want string }{
		"key":                {"a\n" + pem + "\nb\n", "a\nREDACTED\nb\n"},
		"key, indented":      {"  tls.key: |\n    " + strings.ReplaceAll(pem, "\n", "\n    ") + "\n  b: c\n", "  tls.key: REDACTED\n  b: c\n"},
		"key in JSON":        {`{"key":"` + strings.ReplaceAll(pem, "\n", `\n`) + `","b":1}`, `{"key":"REDACTED","b":1}`},
		"two keys":           {pem + "\nmiddle\n" + pem, "REDACTED\nmiddle\nREDACTED"},
		"key without end":    {"-----BEGIN PRIVATE KEY-----\nhunter2hunter2\nhunter2==\n", "REDACTED\n"},
		"key without start":  {"hunter2hunter2hunter2\nhunter2==\n-----END PRIVATE KEY-----\nb", "REDACTED\nb"},
		"key in base64":      {"data: " + encoded, "data: REDACTED"},
		"JWT":                {"token " + jwt + " refused", "token REDACTED refused"},
		"JWT in YAML":        {"  x: " + jwt + "\n", "  x: REDACTED\n"},
		"JWT, no signature":  {jwt[:strings.LastIndex(jwt, ".")+1], "REDACTED"},
		"bearer":             {`curl -H "Authorization: Bearer hunter2hunter2"`, `curl -H "Authorization: Bearer REDACTED"`},
		"bearer in a log":    {"got bearer abcdefghijklmnopqrstuvwxyz.x", "got bearer REDACTED"},
		"basic":              {"authorization: Basic aHVudGVyMg==", "authorization: REDACTED"},
		"header dump":        {"Authorization:[Bearer hunter]", "Authorization:[Bearer REDACTED]"},
		"URL":                {"https://bob:hunter2@example.com/x", "https://bob:REDACTED@example.com/x"},
		"env in YAML":        {"    - name: DB_PASSWORD\n      value: hunter2\n    - name: B\n      value: c\n", "    - name: DB_PASSWORD\n      value: REDACTED\n    - name: B\n      value: c\n"},
		"env of many lines":  {"- name: API_KEY\n  value: |-\n    hunter2\n\n    hunter2\n- name: B\n  value: c\n", "- name: API_KEY\n  value: REDACTED\n- name: B\n  value: c\n"},
		"env described":      {"      DB_PASSWORD:  hunter2 hunter2\n                    hunter2\n      B:            c\n", "      DB_PASSWORD:  REDACTED\n      B:            c\n"},
		"env in JSON":        {`[{"name":"A_TOKEN","value":"hunter2"},{"name":"B","value":"c"}]`, `[{"name":"A_TOKEN","value":"REDACTED"},{"name":"B","value":"c"}]`},
		"env of a shell":     {"env A=1 MY_SECRET=hunter2 SESSION_KEY='hunter 2' b=c", "env A=1 MY_SECRET=REDACTED SESSION_KEY=REDACTED b=c"},
		"env, JSON in lines": {"  \"name\": \"A_TOKEN\",\n  \"value\": \"hunter2\"\n}\n", "  \"name\": \"A_TOKEN\",\n  \"value\": REDACTED\n}\n"},
		"map in JSON":        {`{"DB_PASSWORD":"hunter2","password" : "hunter2", "auth":"aHVudGVyMg=="}`, `{"DB_PASSWORD":"REDACTED","password" : "REDACTED", "auth":"REDACTED"}`},
		"JSON in a string":   {`"{\"password\":\"hunter2\",\"b\":\"c\"}"`, `"{\"password\":\"REDACTED\",\"b\":\"c\"}"`},
		"flags":              {"app --token=hunter2 --password hunter2 --api-key 'hunter2' -v", "app --token=REDACTED --password REDACTED --api-key 'REDACTED' -v"},
		"file of a shell":    {`sh -c "echo 'bob:hunter2' > /auth; printf \"amy:hunter2\n\" >> /auth; echo a:b"`, `sh -c "echo 'bob:REDACTED' > /auth; printf \"amy:REDACTED\n\" >> /auth; echo a:b"`},
		"query":              {"GET /x?access_token=hunter2&b=c", "GET /x?access_token=REDACTED&b=c"},
		"kubeconfig":         {"    client-certificate-data: LS0tLS1CRUdJTiBDRVJU\n    client-key-data: LS0thunter2\n    token: hunter2\n    server: https://x\n", "    client-certificate-data: REDACTED\n    client-key-data: REDACTED\n    token: REDACTED\n    server: https://x\n"},
		"quoted value":       {`  password: "hunter2"` + "\n", "  password: REDACTED\n"},
		"folded value":       {"password: hunter2\n  hunter2\n---\nb: c\n", "password: REDACTED\n---\nb: c\n"},
		"last line, unended": {"DB_PASSWORD: hunter2", "DB_PASSWORD: REDACTED"},
	} {
		t.Run(name, func(t *testing.T) {
			got := withoutForms(test.text, ignore)
			if got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
			if again := withoutForms(got, ignore); again != got {
				t.Errorf("twice gives\n%s", again)
			}
		})
	}
}

func TestFormsLeaves(t *testing.T) {
	certificate := "-----BEGIN CERTIFICATE-----\nMIIDXTCCAkWgAwIBAgIJAKoK\n-----END CERTIFICATE-----"
	for _, text := range []string{
		"<30 get demo_key", ">30 sending key demo_key", "key=demo_key value=12", "key-000042: 1000 bytes", "STAT items:1:number 5",
		"STAT hash_algorithm murmur3", "STAT auth_enabled_sasl no", "STAT auth_enabled_ascii no", "STAT memory_file /data/memcached-memory-file",
		"image: docker.io/library/memcached@sha256:3b4d1a5c9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b",
		"imageID: docker-pullable://memcached@sha256:3b4d1a5c9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b",
		"uid: 0cf8a5d5-077c-4278-8587-89c069518e78",
		"  LV pvc-0c-ed74edfca1d8fe2082ebc82b5da6d74f2ea6ffc43c05e209d110f7f1 209715200B",
		"memcached-0.17c8f2a3b4d5e6f7", "resourceVersion: \"12345\"", "pod-template-hash: 5d4f8c7b6d",
		"    secretName: tls\n    secretKeyRef:\n      key: password\n      name: db\n",
		"        serviceAccountToken:\n          expirationSeconds: 3607\n          path: token\n",
		"automountServiceAccountToken: false", "    TokenExpirationSeconds:  3607", "Tokens:              <none>", "Mountable secrets:   <none>",
		"topologyKey: kubernetes.io/hostname", "- key: node.kubernetes.io/not-ready\n  operator: Exists\n", "          \"key\": \"demo\"",
		"      DB_PASSWORD:    <set to the key 'password' in secret 'db'>  Optional: false\n      B:  c\n",
		"    - name: DB_PASSWORD\n      valueFrom:\n        secretKeyRef:\n          key: password\n",
		"    - name: MEMCACHED_ARGS\n      value: -m 64 -t 4\n", "MEMCACHED_ARGS=-t 4", "MONKEY=1", "KEYS=7", "KEY_PREFIX=demo",
		"Bearer authentication is required", "the bearer of this", "basic authorization", "the token: it was refused",
		"invalid password for user bob", "--token-ttl 5m --password-file /x --token --next",
		"http://10.0.0.1:8080/path@2", "dial tcp 127.0.0.1:11211: connect: connection refused",
		certificate, base64.StdEncoding.EncodeToString([]byte(certificate)), "eyJhbGci", "eyJust.a.sentence",
		"password:", "token: \"\"", "password: null", "  password: REDACTED", "",
	} {
		if got := withoutForms(text, ignore); got != text {
			t.Errorf("got\n%s\nwant it as it was:\n%s", got, text)
		}
	}
}

func BenchmarkForms(b *testing.B) {
	text := strings.Repeat("I0102 03:04:05.000000 1 nodeserver.go:123] \"Publishing volume\" volume-id=\"pvc-0c-ed74edfca1d8fe2082ebc82b5da6d74f\" key=\"a\"\n", 2000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		withoutForms(text, ignore)
	}
}
