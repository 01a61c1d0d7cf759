package configdoc

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// variables are what the daemon reads from its environment, beside those of
// flags, and beside what url and token refer to.
var variables = map[string]string{
	"CONFIG_FILE":          "path of `config.toml`; `--config` wins",
	"RUNNERD_STATE_DIR":    "folder of `.runner_system_id`; that of `config.toml` unless given",
	"RUNNERD_HELPER_IMAGE": "helper image where `helper_image` is not set; the published one of this version unless given",

	"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "URL of the collector of traces, where `[tracing]` has no `endpoint`",
	"OTEL_EXPORTER_OTLP_ENDPOINT":        "the same, when that is not set; `/v1/traces` is added",
	"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "`http/protobuf` or `grpc`, where `[tracing]` has no `protocol`",
	"OTEL_EXPORTER_OTLP_PROTOCOL":        "the same, when that is not set",
	"OTEL_TRACES_EXPORTER":               "`none`: no traces",
	"OTEL_SDK_DISABLED":                  "`true`: no traces",

	"PATH": "of the jobs of the local executor, too",

	"AWS_WEB_IDENTITY_TOKEN_FILE":            "of a web identity (IRSA), with `AWS_ROLE_ARN`: credentials of the cache's store, where the config has no keys",
	"AWS_ROLE_ARN":                           "the role of that web identity",
	"AWS_SESSION_TOKEN":                      "goes with temporary keys",
	"AWS_EC2_METADATA_DISABLED":              "`true`: the machine's role is not asked for",
	"AWS_EC2_METADATA_SERVICE_ENDPOINT":      "another address of it",
	"AWS_CONTAINER_CREDENTIALS_FULL_URI":     "of a container's role (EKS Pod Identity)",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "of a container's role (ECS)",
	"AWS_ENDPOINT_URL_STS":                   "another address of AWS's token service, for `RoleARN`",
	"AWS_REGION":                             "region of that service, where `BucketLocation` is not set",
	"AWS_DEFAULT_REGION":                     "the same, when `AWS_REGION` is not set",
}

// indirect are variables that libraries read, or that the sources name
// otherwise than by a literal.
var indirect = map[string]string{
	"AWS_ACCESS_KEY_ID":           "keys of the cache's store, where the config has none; also `AWS_ACCESS_KEY`",
	"AWS_SECRET_ACCESS_KEY":       "goes with it; also `AWS_SECRET_KEY`",
	"AWS_SHARED_CREDENTIALS_FILE": "file with keys, `~/.aws/credentials` unless given; profile `AWS_PROFILE`",
	"HTTPS_PROXY":                 "proxy of the daemon's own connections, to GitLab, the API server, registries, Vault and the cache's store; not of jobs",
	"HTTP_PROXY":                  "the same for `http://`",
	"NO_PROXY":                    "hosts and ranges that are reached without one",
	"SSL_CERT_FILE":               "the system's certificate authorities, in another file",
	"SSL_CERT_DIR":                "the same in a folder",
	"KUBECONFIG":                  "where there is no `host`: the kubeconfig; `~/.kube/config` unless given",
	"KUBERNETES_SERVICE_HOST":     "set by Kubernetes: the daemon runs in the cluster, and uses its ServiceAccount",
}

// Environment returns the environment variables of the daemon in Markdown. dirs
// are the folders of its sources: a variable that they read and that is not
// described is an error.
func Environment(dirs ...string) (string, error) {
	read := map[string]bool{}
	for _, dir := range dirs {
		if err := readVariables(dir, read); err != nil {
			return "", err
		}
	}
	var errs []error
	for name := range read {
		if variables[name] == "" {
			errs = append(errs, fmt.Errorf("%s: nothing says what this environment variable means", name))
		}
	}
	for name := range variables {
		if !read[name] {
			errs = append(errs, fmt.Errorf("%s: no source reads this environment variable", name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	all := maps.Clone(variables)
	maps.Copy(all, indirect)
	var b strings.Builder
	b.WriteString("| variable | meaning |\n| --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, cell(all[name]))
	}
	return b.String(), nil
}

// readVariables adds the names that os.Getenv and os.LookupEnv are called with
// below dir.
func readVariables(dir string, into map[string]bool) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if name := askedFor(n); name != "" {
				into[name] = true
			}
			return true
		})
		return nil
	})
}

// askedFor returns the variable that the call n reads, when it is named by a
// literal, or by a constant of the same file.
func askedFor(n ast.Node) string {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return ""
	}
	fun, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || fun.Sel.Name != "Getenv" && fun.Sel.Name != "LookupEnv" {
		return ""
	}
	arg := call.Args[0]
	if id, ok := arg.(*ast.Ident); ok && id.Obj != nil {
		if spec, ok := id.Obj.Decl.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
			arg = spec.Values[0]
		}
	}
	lit, ok := arg.(*ast.BasicLit)
	if !ok {
		return ""
	}
	name, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return name
}
