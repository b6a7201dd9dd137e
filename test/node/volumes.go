package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// volumes are a Pod's, as folders below dir.
type volumes struct {
	client kubernetes.Interface
	dir    string
	tokens map[string]token // by audience
	shown  map[string]files // by volume, what its folder shows
}

// files are contents by path.
type files map[string][]byte

// token is a service account's, and when to ask for another.
type token struct {
	text    string
	renewAt time.Time
}

func (v *volumes) path(name string) string { return filepath.Join(v.dir, name) }

// refresh makes the folders show what the volumes contain now. An error names the first volume that
// cannot be made, such as one of a Secret that does not exist.
func (v *volumes) refresh(ctx context.Context, object *corev1.Pod, now time.Time) error {
	for i := range object.Spec.Volumes {
		volume := &object.Spec.Volumes[i]
		if err := os.MkdirAll(v.path(volume.Name), 0o700); err != nil {
			return fmt.Errorf("make volume %q: %w", volume.Name, err)
		}
		if volume.EmptyDir != nil {
			continue
		}
		content, err := v.content(ctx, object, &volume.VolumeSource, now)
		if err != nil {
			return fmt.Errorf("make volume %q: %w", volume.Name, err)
		}
		if err := v.show(volume.Name, content); err != nil {
			return fmt.Errorf("write volume %q: %w", volume.Name, err)
		}
	}
	return nil
}

// content is what a volume contains, as all its sources together.
func (v *volumes) content(ctx context.Context, object *corev1.Pod, source *corev1.VolumeSource, now time.Time) (files, error) {
	var sources []corev1.VolumeProjection
	switch {
	case source.ConfigMap != nil:
		s := source.ConfigMap
		sources = []corev1.VolumeProjection{{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: s.LocalObjectReference, Items: s.Items, Optional: s.Optional}}}
	case source.Secret != nil:
		s := source.Secret
		sources = []corev1.VolumeProjection{{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: s.SecretName}, Items: s.Items, Optional: s.Optional}}}
	case source.DownwardAPI != nil:
		sources = []corev1.VolumeProjection{{DownwardAPI: &corev1.DownwardAPIProjection{Items: source.DownwardAPI.Items}}}
	case source.Projected != nil:
		sources = source.Projected.Sources
	}
	all := files{}
	for i := range sources {
		if err := v.project(ctx, object, &sources[i], all, now); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (v *volumes) project(ctx context.Context, object *corev1.Pod, source *corev1.VolumeProjection, into files, now time.Time) error {
	switch {
	case source.ConfigMap != nil:
		s := source.ConfigMap
		found, err := v.client.CoreV1().ConfigMaps(object.Namespace).Get(ctx, s.Name, metav1.GetOptions{})
		if err != nil {
			return unlessOptional(err, s.Optional)
		}
		data := files(found.BinaryData)
		if data == nil {
			data = files{}
		}
		for key, text := range found.Data {
			data[key] = []byte(text)
		}
		return pick(data, s.Items, s.Optional, into)
	case source.Secret != nil:
		s := source.Secret
		found, err := v.client.CoreV1().Secrets(object.Namespace).Get(ctx, s.Name, metav1.GetOptions{})
		if err != nil {
			return unlessOptional(err, s.Optional)
		}
		return pick(found.Data, s.Items, s.Optional, into)
	case source.ServiceAccountToken != nil:
		text, err := v.token(ctx, object, source.ServiceAccountToken, now)
		into[source.ServiceAccountToken.Path] = []byte(text)
		return err
	case source.DownwardAPI != nil:
		for _, item := range source.DownwardAPI.Items {
			if item.FieldRef == nil {
				return fmt.Errorf("this node does not know where file %q comes from", item.Path)
			}
			value, err := fieldValue(object, item.FieldRef.FieldPath)
			if err != nil {
				return err
			}
			into[item.Path] = []byte(value)
		}
	}
	return nil
}

func unlessOptional(err error, optional *bool) error {
	if apierrors.IsNotFound(err) && optional != nil && *optional {
		return nil
	}
	return err
}

// pick takes the named keys, or all if none is named.
func pick(data files, items []corev1.KeyToPath, optional *bool, into files) error {
	if len(items) == 0 {
		maps.Copy(into, data)
		return nil
	}
	for _, item := range items {
		content, ok := data[item.Key]
		if !ok && (optional == nil || !*optional) {
			return fmt.Errorf("there is no key %q", item.Key)
		}
		if ok {
			into[item.Path] = content
		}
	}
	return nil
}

// token returns a token of the Pod's service account that is bound to the Pod. Like kubelet, it asks for
// another when four fifths of the time are over.
func (v *volumes) token(ctx context.Context, object *corev1.Pod, source *corev1.ServiceAccountTokenProjection, now time.Time) (string, error) {
	if known, ok := v.tokens[source.Audience]; ok && now.Before(known.renewAt) {
		return known.text, nil
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: source.ExpirationSeconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: object.Name, UID: object.UID},
	}}
	if source.Audience != "" {
		request.Spec.Audiences = []string{source.Audience}
	}
	got, err := v.client.CoreV1().ServiceAccounts(object.Namespace).CreateToken(ctx, object.Spec.ServiceAccountName, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("get a token: %w", err)
	}
	if v.tokens == nil {
		v.tokens = map[string]token{}
	}
	life := got.Status.ExpirationTimestamp.Sub(now)
	v.tokens[source.Audience] = token{text: got.Status.Token, renewAt: now.Add(life * 4 / 5)}
	return got.Status.Token, nil
}

// show changes all files of a volume at once, the kubelet's way: they are links into ..data, which is
// a link to a folder that is replaced. Programs watch for that.
func (v *volumes) show(name string, content files) error {
	before, there := v.shown[name]
	if there && equal(before, content) {
		return nil
	}
	dir := v.path(name)
	fresh, err := os.MkdirTemp(dir, "..data-")
	if err != nil {
		return err
	}
	tops := map[string]bool{}
	for path, text := range content {
		file := filepath.Join(fresh, filepath.FromSlash(path))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, text, 0o600)); err != nil {
			return err
		}
		top, _, _ := strings.Cut(path, "/")
		tops[top] = true
	}
	data := filepath.Join(dir, "..data")
	old, _ := os.Readlink(data) // none the first time
	next := filepath.Join(dir, "..data_tmp")
	if err := errors.Join(os.Symlink(filepath.Base(fresh), next), os.Rename(next, data)); err != nil {
		return err
	}
	if err := link(dir, tops); err != nil {
		return err
	}
	if v.shown == nil {
		v.shown = map[string]files{}
	}
	v.shown[name] = content
	if old != "" {
		return os.RemoveAll(filepath.Join(dir, old))
	}
	return nil
}

// link makes a folder show exactly these names of its ..data.
func link(dir string, names map[string]bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if name := entry.Name(); !strings.HasPrefix(name, "..") && !names[name] {
			err = errors.Join(err, os.Remove(filepath.Join(dir, name)))
		}
	}
	for name := range names {
		if linkErr := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); !errors.Is(linkErr, os.ErrExist) {
			err = errors.Join(err, linkErr)
		}
	}
	return err
}

func equal(a, b files) bool {
	if len(a) != len(b) {
		return false
	}
	for path, content := range a {
		if other, ok := b[path]; !ok || !bytes.Equal(content, other) {
			return false
		}
	}
	return true
}
