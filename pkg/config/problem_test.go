package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// entry is a valid [[runners]] entry of five lines; more lines follow on line 6.
const entry = "[[runners]]\nname = \"a\"\nurl = \"https://gitlab.example.com\"\ntoken = \"glrt-x\"\nexecutor = \"kubernetes\"\n"

func TestParseProblems(t *testing.T) {
	tests := []struct {
		name string
		text string
		want []string // without "config.toml:"
	}{
		{
			name: "syntax", text: "concurrent = 4\nlog_level = warning\n",
			want: []string{`2: expected value but found "warning" instead; correct the TOML of this line, or of the one above it`},
		},
		{
			name: "syntax near a secret", text: "[[runners]]\ntoken = glrt-forgotten\n",
			want: []string{`2: no TOML, and not shown since it may hold a secret; correct the TOML of this line, or of the one above it`},
		},
		{
			name: "key twice", text: "concurrent = 4\nconcurrent = 5\n",
			want: []string{`2: Key 'concurrent' has already been defined.; correct the TOML of this line, or of the one above it`},
		},
		{
			name: "unknown key with a neighbour", text: "concurent = 4\n" + entry,
			want: []string{`1: concurent: unknown key; did you mean "concurrent"?`},
		},
		{
			name: "neighbours swapped", text: entry + "[runners.kubernetes]\nnamepsace = \"ci\"\nnamespace = \"ci\"\n",
			want: []string{`7: runners[0].kubernetes.namepsace: unknown key; did you mean "namespace"?`},
		},
		{
			name: "hyphen and underscore", text: entry + "tls_ca_file = \"/ca.pem\"\n",
			want: []string{`6: runners[0].tls_ca_file: unknown key; did you mean "tls-ca-file"?`},
		},
		{
			name: "neighbour among the keys without effect", text: entry + "[runners.kubernetes]\npoll_intervall = 3\n",
			want: []string{`7: runners[0].kubernetes.poll_intervall: unknown key; did you mean "poll_interval"?`},
		},
		{
			name: "unknown key in the wrong table", text: entry + "namespace = \"ci\"\n",
			want: []string{`6: runners[0].namespace: unknown key; take it out, or check its name and the table it stands in`},
		},
		{
			name: "unknown key in an inline table of a list",
			text: entry + "[runners.kubernetes]\nservices = [\n  { name = \"redis\" },\n  { name = \"pg\", alais = \"db\" },\n]\n",
			want: []string{`9: runners[0].kubernetes.services[1].alais: unknown key; did you mean "alias"?`},
		},
		{
			name: "wrong types",
			text: "concurrent = \"4\"\ncheck_interval = 1.5\n[[runners]]\nname = 5\nurl = \"https://g\"\ntoken = 12345\nexecutor = \"kubernetes\"\nenvironment = \"A=b\"\n" +
				"unhealthy_interval = 60\n[runners.kubernetes]\nprivileged = \"yes\"\npull_policy = 1\npod_labels = []\nservices = {}\n" +
				"cleanup_grace_period_seconds = \"30\"\n[runners.feature_flags]\nFF_TIMESTAMPS = \"true\"\n",
			want: []string{
				`1: concurrent: is a string; write a whole number without quotes`,
				`2: check_interval: is a decimal number; write a whole number of seconds without quotes`,
				`4: runners[0].name: is a whole number; write text in quotes`,
				`6: runners[0].token: is a whole number; write text in quotes`,
				`8: runners[0].environment: is a string; write a list such as ["a", "b"]`,
				`9: runners[0].unhealthy_interval: is a whole number; write a duration in quotes, such as "30s" or "1h30m"`,
				`11: runners[0].kubernetes.privileged: is a string; write true or false without quotes`,
				`12: runners[0].kubernetes.pull_policy: is a whole number; write a string, or a list such as ["a", "b"]`,
				`13: runners[0].kubernetes.pod_labels: is a list; write a table, [runners.kubernetes.pod_labels]`,
				`14: runners[0].kubernetes.services: is a table; write [[runners.kubernetes.services]] with double brackets`,
				`15: runners[0].kubernetes.cleanup_grace_period_seconds: is a string; write a whole number without quotes`,
				`17: runners[0].feature_flags.FF_TIMESTAMPS: is a string; write true or false without quotes`,
			},
		},
		{
			name: "single brackets", text: "[runners]\nname = \"a\"\n",
			want: []string{`1: runners: is a table; write [[runners]] with double brackets`},
		},
		{
			name: "missing keys stand at their entry", text: entry + "\n# second\n[[runners]]\nname = \"b\"\n",
			want: []string{
				`8: runners[1].executor: missing; write executor = "kubernetes"`,
				`8: runners[1].token: missing; write the runner authentication token (glrt-…), or add the runner with runnerd register`,
				`8: runners[1].url: missing; write GitLab's address, such as "https://gitlab.example.com"`,
			},
		},
		{
			name: "environment", text: "[[runners]]\nurl = \"${NO_SUCH_URL}\"\ntoken = \"glrt-${NO_SUCH_A}${NO_SUCH_B}\"\nexecutor = \"docker\"\n",
			want: []string{
				`2: runners[0].url: environment variable not set: "${NO_SUCH_URL}"; set it where runnerd is started, or write the value itself`,
				`3: runners[0].token: environment variable not set: "${NO_SUCH_A}", "${NO_SUCH_B}"; set it where runnerd is started, or write the value itself`,
				`4: runners[0].executor: "docker"; runnerd runs jobs on "kubernetes" (or on "local", this host, to try it out)`,
			},
		},
		{
			name: "global values", text: "concurrent = 0\nlog_level = \"warn\"\nlog_format = \"jsn\"\nlisten_address = \"a:b:c\"\n[labels]\n\"a b c\" = \"x\"\n" + entry,
			want: []string{
				`1: concurrent: 0; write how many jobs may run at the same time, at least 1`,
				`2: log_level: "warn"; write one of panic, fatal, error, warning, info, debug`,
				`3: log_format: "jsn"; did you mean "json"?`,
				`4: listen_address: "a:b:c" is no address; write host:port, such as ":9252"`,
				`6: labels."a b c": GitLab does not take this name; use 3 to 65 letters, digits, '.', '_' or '-', and start with a letter, a digit or '_'`,
			},
		},
		{
			name: "runner values",
			text: "[[runners]]\nurl = \"ftp://u:secret@host\"\ntoken = \"x\"\nexecutor = \"local\"\nlimit = -1\nbuilds_dir = \"builds\"\n" +
				"environment = [\"A=b\",\n  \"B\"]\nunhealthy_interval = \"1 hour\"\ntls-cert-file = \"/c\"\nclone_url = \"host\"\n",
			want: []string{
				`2: runners[0].url: "…@host" is no http or https address; write GitLab's address, such as "https://gitlab.example.com"`,
				`5: runners[0].limit: -1 is too small; write 0 or more`,
				`6: runners[0].builds_dir: "builds" is no absolute path; write one such as "/builds"`,
				`8: runners[0].environment[1]: no variable; write "KEY=VALUE"`,
				`9: runners[0].unhealthy_interval: "1 hour" is not a duration; write one such as "30s" or "1h30m"`,
				`10: runners[0].tls-cert-file: tls-cert-file and tls-key-file belong together; write both or neither`,
				`11: runners[0].clone_url: "host" is no http or https address; write GitLab's address, such as "https://gitlab.example.com"`,
			},
		},
		{
			name: "kubernetes values",
			text: entry + "kubernetes.namespace = \"ci\"\nkubernetes.cpu_limit = \"2 cores\"\nkubernetes.\"memory_limit\" = \"1gb\"\n" +
				"kubernetes.helper_cpu_request = \"-1\"\nkubernetes.pull_policy = \"Always\"\nkubernetes.allowed_pull_policies = [\"always\", \"newer\"]\n" +
				"kubernetes.allowed_images = [\"ok/**\", \"[a\"]\nkubernetes.allowed_users = [\"root\"]\nkubernetes.namespace_overwrite_allowed = \"ci-(\"\n" +
				"kubernetes.dns_policy = \"ClusterFirst\"\nkubernetes.node_tolerations = { \"a=b\" = \"NoScheduled\" }\n",
			want: []string{
				`7: runners[0].kubernetes.cpu_limit: "2 cores" is no quantity; write one such as "500m" (CPU) or "2Gi" (memory)`,
				`8: runners[0].kubernetes.memory_limit: "1gb" is no quantity; write one such as "500m" (CPU) or "2Gi" (memory)`,
				`9: runners[0].kubernetes.helper_cpu_request: "-1" is no quantity; write one such as "500m" (CPU) or "2Gi" (memory)`,
				`10: runners[0].kubernetes.pull_policy: "Always"; did you mean "always"?`,
				`11: runners[0].kubernetes.allowed_pull_policies[1]: "newer"; did you mean "never"?`,
				`13: runners[0].kubernetes.allowed_users[0]: "root" is no id; write a number in quotes, such as "1000"`,
				"14: runners[0].kubernetes.namespace_overwrite_allowed: \"ci-(\" is no regular expression (missing closing ): `ci-(`); write one as Go does",
				`15: runners[0].kubernetes.dns_policy: "ClusterFirst"; did you mean "cluster-first"?`,
				`16: runners[0].kubernetes.node_tolerations."a=b": "NoScheduled"; did you mean "NoSchedule"?`,
			},
		},
		{
			name: "overwrites",
			text: entry + "kubernetes.namespace = \"ci\"\nkubernetes.overwrite_namespaces = [\"ok\", \"a_b\"]\nkubernetes.pod_cpu_limit_overwrite_max_allowed = \"two\"\n",
			want: []string{
				`7: runners[0].kubernetes.overwrite_namespaces: no job can choose one of them: namespace_overwrite_allowed is empty. Write a regular expression there that matches what a job may choose, such as ".*"`,
				`7: runners[0].kubernetes.overwrite_namespaces[1]: "a_b": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`,
				`8: runners[0].kubernetes.pod_cpu_limit_overwrite_max_allowed: "two" is no quantity; write one such as "500m" (CPU) or "2Gi" (memory)`,
			},
		},
		{
			name: "volumes and security",
			text: entry + "[runners.kubernetes]\nnamespace = \"ci\"\n[[runners.kubernetes.volumes.host_path]]\nname = \"a\"\nmount_path = \"etc\"\n" +
				"[[runners.kubernetes.volumes.csi]]\nname = \"b\"\nmount_path = \"/b\"\n[[runners.kubernetes.volumes.empty_dir]]\nmount_path = \"/c\"\nmedium = \"RAM\"\n" +
				"[runners.kubernetes.pod_security_context.seccomp_profile]\ntype = \"Localhost\"\n[[runners.kubernetes.host_aliases]]\nip = \"x\"\nhostnames = [\"a\"]\n",
			want: []string{
				`10: runners[0].kubernetes.volumes.host_path[0].mount_path: "etc" is no absolute path; write one that starts with "/"`,
				`11: runners[0].kubernetes.volumes.csi[0].driver: missing; name the CSI driver`,
				`14: runners[0].kubernetes.volumes.empty_dir[0].name: missing; name the volume`,
				`16: runners[0].kubernetes.volumes.empty_dir[0].medium: "RAM"; write one of Memory`,
				`17: runners[0].kubernetes.pod_security_context.seccomp_profile.localhost_profile: missing; type "Localhost" needs the name of the profile`,
				`20: runners[0].kubernetes.host_aliases[0].ip: "x" is no IP address; write one such as "10.0.0.1"`,
			},
		},
		{
			name: "proxy and authorities",
			text: entry + "[runners.kubernetes]\nnamespace = \"ci\"\nhttp_proxy = \"proxy:3128\"\nhttps_proxy = \"socks5://me:secret@x\"\nno_proxy = [\"a.b\", \"http://x\"]\nca_bundle = \"testdata/gitlab-runner.toml\"\n" +
				"[[runners]]\nname = \"b\"\nurl = \"https://gitlab.example.com\"\ntoken = \"x\"\nexecutor = \"kubernetes\"\n[runners.kubernetes]\nnamespace = \"ci\"\nca_bundle = { config_map = \"a\", secret = \"b\" }\n" +
				"[[runners]]\nname = \"c\"\nurl = \"https://gitlab.example.com\"\ntoken = \"x\"\nexecutor = \"kubernetes\"\n[runners.kubernetes]\nnamespace = \"ci\"\nca_bundle = { configmap = \"a\" }\n",
			want: []string{
				`8: runners[0].kubernetes.http_proxy: no URL of a proxy (not shown, it may hold a password); write one such as "http://proxy.example.com:3128"`,
				`9: runners[0].kubernetes.https_proxy: no URL of a proxy (not shown, it may hold a password); write one such as "http://proxy.example.com:3128"`,
				`10: runners[0].kubernetes.no_proxy[1]: "http://x": write host names, domains (".example.com") and addresses, without a scheme, separated by commas`,
				`11: runners[0].kubernetes.ca_bundle: testdata/gitlab-runner.toml holds no certificate in PEM form; write the path of a file with the certificates of the authorities that jobs shall trust`,
				`19: runners[1].kubernetes.ca_bundle: name one place: a file, or { config_map = "name", key = "ca.crt" }, or { secret = "name", key = "ca.crt" }`,
				`27: runners[2].kubernetes.ca_bundle: "configmap" is no text, or no key of it; write the path of a file, or { config_map = "name", key = "ca.crt" }, or { secret = "name", key = "ca.crt" }`,
			},
		},
		{
			name: "where volumes are mounted",
			text: entry + "[runners.kubernetes]\nnamespace = \"ci\"\nprivileged = true\nallow_privilege_escalation = false\n" +
				"[[runners.kubernetes.volumes.empty_dir]]\nname = \"a\"\nmount_path = \"/a\"\n" +
				"[[runners.kubernetes.volumes.pvc]]\nname = \"a\"\nmount_path = \"/x/../a/\"\nsub_path = \"b/../c\"\n" +
				"[[runners.kubernetes.volumes.secret]]\nname = \"s$CI\"\nmount_path = \"/runnerd/plan\"\nitems = { key = \"../x\" }\n" +
				"[[runners.kubernetes.volumes.config_map]]\nname = \"c.d\"\nmount_path = \"/builds\"\n" +
				"[[runners.kubernetes.volumes.host_path]]\nname = \"a\"\nmount_path = \"/usr/bin\"\n" +
				"[[runners.kubernetes.volumes.host_path]]\nname = \"B_1\"\nmount_path = \"/v/$CI_PROJECT_ID\"\n",
			want: []string{
				`9: runners[0].kubernetes.allow_privilege_escalation: false does not go with privileged = true; take one of them out`,
				`15: runners[0].kubernetes.volumes.pvc[0].mount_path: "/x/../a/": runners[0].kubernetes.volumes.empty_dir[0] is mounted there as well; give each volume a path of its own`,
				`16: runners[0].kubernetes.volumes.pvc[0].sub_path: "b/../c" leads out of the volume; write a path below its top folder, without ".."`,
				`18: runners[0].kubernetes.volumes.secret[0].name: "s$CI": only the name of a claim (pvc) may contain variables`,
				`19: runners[0].kubernetes.volumes.secret[0].mount_path: "/runnerd/plan": what runnerd itself has at /runnerd could not be seen; mount the volume elsewhere`,
				`20: runners[0].kubernetes.volumes.secret[0].items.key: "../x": write the file's path in the volume, without a leading "/" and ".."`,
				`23: runners[0].kubernetes.volumes.config_map[0].mount_path: "/builds" is builds_dir, where jobs work, and the volume is read-only; mount it elsewhere, or take read_only out`,
				`25: runners[0].kubernetes.volumes.host_path[0].name: "a" is the name of runners[0].kubernetes.volumes.empty_dir[0] as well; give each volume a name of its own`,
				`26: runners[0].kubernetes.volumes.host_path[0].mount_path: "/usr/bin": what runnerd itself has at /usr/bin/runnerd-agent could not be seen; mount the volume elsewhere`,
				`27: runners[0].kubernetes.volumes.host_path[1].host_path: missing, and mount_path has a variable; write the node's path`,
				`28: runners[0].kubernetes.volumes.host_path[1].name: "B_1" cannot be a name in Kubernetes; write small letters, digits and dashes`,
			},
		},
		{
			name: "cache",
			text: entry + "[runners.kubernetes]\nnamespace = \"ci\"\n[runners.cache]\nType = \"s3\"\n[runners.cache.s3]\nServerAddress = \"https://minio:9000\"\nAccessKey = \"a\"\n",
			want: []string{
				`10: runners[0].cache.s3.BucketName: missing; name the bucket that caches are stored in`,
				`11: runners[0].cache.s3.ServerAddress: "https://minio:9000"; write host[:port] without a scheme and path, and Insecure = true for http`,
				`12: runners[0].cache.s3.AccessKey: AccessKey and SecretKey belong together; write both or neither`,
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _, err := Parse("config.toml", []byte(tt.text))
			if c != nil || err == nil {
				t.Fatalf("Parse = %v, %v, want an error and no configuration", c, err)
			}
			got := strings.Split(strings.ReplaceAll(err.Error(), "config.toml:", ""), "\n")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if _, ok := errors.AsType[*Problem](err); !ok {
				t.Errorf("error %T holds no *Problem", err)
			}
		})
	}
}

func TestUnknownFlagsOnlyWarn(t *testing.T) {
	_, warnings, err := Parse("config.toml", []byte(entry+"kubernetes.namespace = \"ci\"\n[runners.feature_flags]\nFF_TIMESTAMP = false\nFF_SHELL_EXECUTOR_USE_LEGACY = true\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range warnings {
		got = append(got, w.String())
	}
	want := []string{
		`config.toml:8: runners[0].feature_flags.FF_TIMESTAMP: no feature flag that runnerd knows; did you mean "FF_TIMESTAMPS"?`,
		`config.toml:9: runners[0].feature_flags.FF_SHELL_EXECUTOR_USE_LEGACY: no feature flag that runnerd knows; take it out`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}
