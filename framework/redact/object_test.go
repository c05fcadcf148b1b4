package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// deployed is what people deploy; each secret in it begins with CANARY.
var deployed = `
apiVersion: v1
kind: Secret
metadata:
  name: users
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: '{"kind":"Secret","stringData":{"anything":"CANARY-string-data"}}'
data:
  anything: ` + encode("CANARY-data") + `
  file: ` + encode("# users\nalice:CANARY-alice\nbob:CANARY-bob\n") + `
  app.properties: ` + encode("db.host=postgres\ndb.login=CANARY-property\npassword: CANARY-prop2\n") + `
  .dockerconfigjson: ` + encode(`{"auths":{"r.example":{"auth":"`+encode("bot:CANARY-docker")+`"}}}`) + `
  config: ` + encode("apiVersion: v1\nkind: Config\nusers:\n- name: admin\n  user:\n    token: CANARY-kubeconfig\n") + `
  empty: ""
stringData:
  anything: CANARY-string-data
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: memcached-sasl
data:
  memcached-sasl-pwdb: cacheuser:CANARY-configmap
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  redis.conf: "port 1\nrequirepass CANARY-redis\n"
  start.sh: "#!/bin/sh\nexport API_TOKEN='CANARY-script'\nexec app\n"
  apiKey: CANARY-apikey
  list: "carol:CANARY-carol\ndave:CANARY-dave"
  servers: "cache-0:11211\ncache-1:11211"
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: people
data:
  everybody: CANARY whole file
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: pmem-memcached
  annotations:
    example.com/api-token: CANARY-annotation
    example.com/blob: '{"Password":"CANARY-quoted\"json","x":1}'
spec:
  template:
    spec:
      containers:
      - name: memcached
        image: memcached:1.6
        command: [sh, -c, "BACKUP_TOKEN=CANARY-command exec memcached -Y /etc/people/everybody"]
        args: [--password, CANARY-arg, --auth-token=CANARY-arg2, -passphrase, CANARY-arg3, --url, "redis://:CANARY-url@cache:6379/0", -v]
        env:
        - {name: MEMCACHED_PASSWORD, value: CANARY-password}
        - {name: MEMCACHED_PASS, value: CANARY-pass}
        - {name: memcached_secret, value: CANARY-lower}
        - {name: ConnectionString, value: "Server=a;Password=CANARY-connection;"}
        - {name: EMPTY_PASSWORD, value: ""}
        - {name: SHORT_PASSWORD, value: ab1}
        - {name: SAME_PASSWORD, value: memcached}
        readinessProbe:
          httpGet:
            port: 80
            httpHeaders:
            - {name: Authorization, value: Bearer CANARY-header}
            - {name: X-Api-Key, value: CANARY-header2}
        volumeMounts:
        - {name: people, mountPath: /etc/people}
      volumes:
      - name: people
        configMap:
          name: people
      - name: data
        csi:
          driver: pmem-csi.intel.com
          volumeAttributes:
            size: 200Mi
            encryptionKey: CANARY-attribute
`

func objects(t *testing.T) []map[string]any {
	t.Helper()
	var all []map[string]any
	for text := range strings.SplitSeq(deployed, "\n---\n") {
		var o map[string]any
		if err := yaml.Unmarshal([]byte(text), &o); err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	return all
}

// canaries are the secrets in deployed.
func canaries() []string {
	var all []string
	for _, name := range []string{"data", "alice", "bob", "property", "prop2", "docker", "kubeconfig", "string-data", "configmap", "redis",
		"script", "apikey", "carol", "dave", "annotation", "command", "arg", "arg2", "arg3", "url", "password", "pass",
		"lower", "connection", "header", "header2", "attribute"} {
		all = append(all, "CANARY-"+name)
	}
	return append(all, "CANARY whole file", `CANARY-quoted"json`)
}

func TestLearnedObjects(t *testing.T) {
	var r Redactor
	r.LearnObjects(objects(t)...)
	for _, secret := range canaries() {
		quoted, _ := json.Marshal(secret)
		twice, _ := json.Marshal(string(quoted))
		for _, text := range []string{
			secret, "it printed " + secret + " and ended", encode(secret), encode("user:" + secret), encode("x" + secret + "yz"),
			url.QueryEscape(secret), string(quoted), string(twice), fmt.Sprintf("%q", secret),
			`Deployment.apps "x" is invalid: spec.template.spec.containers[0].env[1].value: Invalid value: ` + string(quoted) + `: no`,
			base64.RawURLEncoding.EncodeToString([]byte("a" + secret)),
		} {
			got := r.Text(text)
			if strings.Contains(got, secret) || strings.Contains(got, "CANARY") || strings.Contains(got, "Q0FOQVJZ") || strings.Contains(got, "NBTkFSWS") || strings.Contains(got, "DQU5BUlkt") {
				t.Errorf("%s: %q is recorded as %q", secret, text, got)
			}
		}
	}
	for _, text := range []string{
		"pod pmem-memcached-0 runs memcached from memcached:1.6", "cache-0:11211", "postgres", "apiVersion: v1\nkind: Config\n",
		"ab1", "users", "size: 200Mi", "-v",
	} {
		if got := r.Text(text); got != text {
			t.Errorf("%q is recorded as %q", text, got)
		}
	}
}

func TestObject(t *testing.T) {
	var learner Redactor
	learner.LearnObjects(objects(t)...)
	for _, r := range []*Redactor{{}, &learner} {
		r.LearnObjects(objects(t)[4])
		for _, o := range objects(t) {
			before, _ := yaml.Marshal(o)
			text, err := yaml.Marshal(r.Object(o))
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Text(string(text)); strings.Contains(got, "CANARY") || strings.Contains(got, "Q0FOQVJZ") {
				t.Errorf("it is recorded as\n%s", got)
			}
			if after, _ := yaml.Marshal(o); !bytes.Equal(before, after) {
				t.Errorf("the object itself was changed:\n%s", after)
			}
		}
	}
	text, _ := yaml.Marshal(learner.Object(objects(t)[0]))
	for _, want := range []string{"  anything: REDACTED\n", `  empty: ""` + "\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("it lacks %q:\n%s", want, text)
		}
	}
	text, _ = yaml.Marshal(learner.Object(objects(t)[4]))
	for _, want := range []string{"name: EMPTY_PASSWORD\n          value: \"\"\n", "name: SHORT_PASSWORD\n          value: REDACTED\n",
		"name: SAME_PASSWORD\n          value: REDACTED\n", "- --password\n        - REDACTED\n", "name: memcached\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("it lacks %q:\n%s", want, text)
		}
	}
}

func TestWriter(t *testing.T) {
	var r Redactor
	r.Learn("CANARY-learned")
	var out bytes.Buffer
	w := r.Writer(&out)
	for _, part := range []string{"a CANARY-", "learned b\n--pass", "word\nCANARY-next\npassword: |\n  CANARY\nc\n", "-----BEGIN PRIVATE KEY-----\nCANARY\n",
		"-----END PRIVATE KEY-----\nd CANARY-learned"} {
		if _, err := io.WriteString(w, part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want := "a REDACTED b\n--password\nREDACTED\npassword: REDACTED\nc\nREDACTED\nd REDACTED"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestIsSecret(t *testing.T) {
	for _, name := range []string{"password", "MEMCACHED_PASS", "memcachedPassword", "DB-PASSWD", "api_key", "apiKey", "APIKEY", "X-Api-Key",
		"tls.key", "id_rsa_private_key", "AWS_SECRET_ACCESS_KEY", "mysqlpassword", "memcached-sasl-pwdb", "auth_token", "MEMCACHED_AUTH",
		"client-key-data", "ENCRYPTION_KEY", "SESSION_KEY", ".dockerconfigjson", "passwords.txt", "Authorization", "PGPASSWORD"} {
		if !IsSecret(name) {
			t.Errorf("%s is none", name)
		}
	}
	for _, name := range []string{"", "key", "auth", "secretName", "PASSWORD_FILE", "tokenExpirationSeconds", "imagePullSecrets", "secretKeyRef",
		"topologyKey", "MONKEY", "KEY_PREFIX", "PWD", "MEMCACHED_ARGS", "bypass", "aws_access_key_id", "auth_enabled_sasl", "Tokens", "compass"} {
		if IsSecret(name) {
			t.Errorf("%s is one", name)
		}
	}
}
