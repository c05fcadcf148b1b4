package plane

import (
	"fmt"
	"os"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"pmem-memcached-e2e/framework/lab/state"
)

// KubectlContext is the name of the context in the lab's kubeconfig files.
const KubectlContext = "lab"

// writeKubeconfig writes a kubeconfig, mode 0600, that holds the keys of the
// identity and needs no other file.
func writeKubeconfig(dir state.Dir, path, id, server string) error {
	var content [3][]byte
	for i, name := range []string{"ca.crt", id + ".crt", id + ".key"} {
		var err error
		if content[i], err = os.ReadFile(dir.Key(name)); err != nil {
			return err
		}
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["lab"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: content[0]}
	config.AuthInfos[id] = &clientcmdapi.AuthInfo{ClientCertificateData: content[1], ClientKeyData: content[2]}
	config.Contexts[KubectlContext] = &clientcmdapi.Context{Cluster: "lab", AuthInfo: id}
	config.CurrentContext = KubectlContext
	encoded, err := clientcmd.Write(*config)
	if err != nil {
		return err
	}
	return os.WriteFile(path, encoded, 0o600)
}

// Client returns a client of the lab's API server.
func Client(dir state.Dir) (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", dir.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("kubeconfig of the lab: %w", err)
	}
	config.QPS, config.Burst = 100, 200
	return kubernetes.NewForConfig(config)
}
