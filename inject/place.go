package inject

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/internal/truncate"
)

// place is where a volume of ours is mounted in a container.
type place struct {
	at string
	// mounted is true where it is mounted there already, from an earlier call.
	mounted bool
	// because is what is in the way at the usual path; empty where the place is the usual one.
	because string
}

// place returns where a container mounts one of our volumes: where it does already, else at the usual path, else, where that
// is taken or nothing can be mounted there, at the spare path below a folder of our own.
func (p *pod) place(c *container, volume, usual, spare string) place {
	at, mounted := c.mountOf(volume)
	if mounted && at == usual {
		return place{at: at, mounted: true}
	}
	because := p.inTheWay(c, usual)
	switch {
	case mounted:
		return place{at: at, mounted: true, because: because}
	case because == "":
		return place{at: usual}
	}
	return place{at: c.spareFolder() + "/" + spare, because: because}
}

// mountOf returns where the container mounts that volume.
func (c *container) mountOf(volume string) (at string, mounted bool) {
	for _, mount := range c.raw.Get("volumeMounts").Elements() {
		if isVolume(mount, volume) {
			return mountPath(mount), true
		}
	}
	return "", false
}

// inTheWay returns why nothing of ours can be mounted at that path, empty where it can: the container has something there, or
// the runtime would have to make the mount point in something of the user's that is read-only, or the user's in ours, which is.
// A file that is there already could be mounted over even in a read-only volume, but what a volume holds is not known.
func (p *pod) inTheWay(c *container, at string) string {
	if own := c.ownMountAt(at); own.IsSet() {
		return "it mounts something of its own there"
	}
	at = resolveRun(at)
	for _, mount := range c.raw.Get("volumeMounts").Elements() {
		if isOurs(mount) {
			continue
		}
		own := resolveRun(mountPath(mount))
		if strings.HasPrefix(own, at+"/") {
			return "it mounts something of its own below, at " + shorten(mountPath(mount))
		}
		if own == "/" || !strings.HasPrefix(at, own+"/") {
			continue
		}
		name, _ := mount.Get("name").Str()
		if readOnly, _ := mount.Get("readOnly").Bool(); readOnly || p.sourceOf(name).readOnly {
			return "it mounts " + shorten(mountPath(mount)) + " read-only"
		}
	}
	return ""
}

// ownMountAt returns the container's mount or device at that path, links resolved, unless it is ours; else the zero Value.
func (c *container) ownMountAt(at string) rawjson.Value {
	at = resolveRun(at)
	for _, mount := range c.raw.Get("volumeMounts").Elements() {
		if resolveRun(mountPath(mount)) == at && !isOurs(mount) {
			return mount
		}
	}
	for _, device := range c.raw.Get("volumeDevices").Elements() {
		if own, _ := device.Get("devicePath").Str(); resolveRun(path.Clean(own)) == at {
			return device
		}
	}
	return rawjson.Value{}
}

// spareFolder returns a folder at the root in which the container mounts nothing of its own: /dagger-inject, else
// /dagger-inject-1 and so on. Only a mount there could hide or obstruct what is below, and of N mounts one of N+1 names is free.
func (c *container) spareFolder() string {
	taken := map[string]bool{}
	note := func(at string) {
		if folder, _, _ := strings.Cut(strings.TrimPrefix(path.Clean(at), "/"), "/"); strings.HasPrefix("/"+folder, config.SpareFolder) {
			taken["/"+folder] = true
		}
	}
	for _, mount := range c.raw.Get("volumeMounts").Elements() {
		if !isOurs(mount) {
			note(mountPath(mount))
		}
	}
	for _, device := range c.raw.Get("volumeDevices").Elements() {
		at, _ := device.Get("devicePath").Str()
		note(at)
	}
	folder := config.SpareFolder
	for n := 1; taken[folder]; n++ {
		folder = config.SpareFolder + "-" + strconv.Itoa(n)
	}
	return folder
}

// isOurs reports whether the mount is of a volume that has the name of one of ours.
func isOurs(mount rawjson.Value) bool {
	name, _ := mount.Get("name").Str()
	return name == volumeSocket || name == volumeTLS || name == volumeCLI || name == volumeHook || name == volumeLauncher ||
		name == volumeProgram
}

// unhidden returns the path at which a mount at the wanted one cannot be hidden by the container's own. Runtimes order mounts by
// depth only, and /var/run is a symbolic link to /run in most images: a container's own mount that may come after ours at the
// same place would hide it. There, the path below that mount is used, which is deeper and so always comes after.
func unhidden(c *container, wanted string) string {
	at := wanted
	for _, mount := range c.raw.Get("volumeMounts").Elements() {
		own := mountPath(mount)
		rest, below := strings.CutPrefix(resolveRun(wanted), resolveRun(own)+"/")
		if below && own != "/" && strings.Count(own, "/") >= strings.Count(at, "/") {
			at = own + "/" + rest
		}
	}
	return at
}

// mountPath returns where a mount is, in its shortest form.
func mountPath(mount rawjson.Value) string {
	at, _ := mount.Get("mountPath").Str()
	return path.Clean(at)
}

// resolveRun follows the symbolic link from /var/run to /run.
func resolveRun(at string) string {
	if rest, ok := strings.CutPrefix(at, "/var/run"); ok && (rest == "" || rest[0] == '/') {
		return "/run" + rest
	}
	return at
}

// shorten cuts a path for a message: a pod can have one of a megabyte.
func shorten(at string) string { return truncate.Text(at, 200) }

// volumeSource is what decisions read of one of the pod's volumes.
type volumeSource struct {
	readOnly bool // whatever the mount says
	hostPath bool
}

// readOnlySources are the volumes that the kubelet mounts read-only whatever the mount says (k8s.io/kubernetes,
// pkg/volume, GetAttributes and kubelet_pods.go, makeMounts).
var readOnlySources = []string{"configMap", "secret", "projected", "downwardAPI", "image"}

// sourceOf returns what is known of a volume. The index is made once: a pod may have thousands of mounts and of volumes.
func (p *pod) sourceOf(name string) volumeSource {
	if p.volumeIndex == nil {
		p.volumeIndex = make(map[string]volumeSource, p.volumes.Len())
		for _, volume := range p.volumes.Elements() {
			var facts volumeSource
			for source, value := range volume.Members() {
				if !value.IsSet() {
					continue
				}
				readOnly, _ := value.Get("readOnly").Bool() // of a claim, of csi, of nfs and of most others
				facts.readOnly = facts.readOnly || readOnly || slices.Contains(readOnlySources, source)
				facts.hostPath = facts.hostPath || source == "hostPath"
			}
			called, _ := volume.Get("name").Str()
			p.volumeIndex[called] = facts
		}
	}
	return p.volumeIndex[name]
}
