package inject

import (
	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// addCLI mounts the CLI in a container and points SDKs at it, unless the container has one of its own at that path. It reports
// whether that is a script.
func (i *injection) addCLI(c *container, at, env *patch.Cursor, cliBin rawjson.Value) (launched bool) {
	where := i.pod.place(c, volumeCLI, i.cli.path, i.cli.spare)
	switch {
	case !where.mounted && (c.ownMountAt(i.cli.path).IsSet() || c.ownMountAt(i.cli.command).IsSet()):
		i.status.Left = append(i.status.Left, LeftContainer{c.name, "mounts a dagger command of its own at " + i.cli.path})
		return false
	case !where.mounted && where.because != "" && cliBin.IsSet():
		// Neither PATH nor the variable would lead to it.
		i.status.Left = append(i.status.Left,
			LeftContainer{c.name, "gets no dagger at " + i.cli.path + ": " + where.because + ", and it sets " + EnvCLIBin + " itself"})
		return false
	}
	cli := i.cli.mountedAt(where.at)
	i.usesCLI = true
	if where.because != "" {
		i.status.Moved = append(i.status.Moved, MovedMount{c.name, cli.command, "which is not on PATH, as " + where.because})
	}
	if !where.mounted {
		at.Member("volumeMounts").Append(cli.mount)
	}
	launched = where.because == "" && cli.launcher != nil && i.addLauncher(c, at, cli)
	switch {
	case cliBin.IsSet():
	case launched && i.atUse:
		env.Append(cli.launcher.env)
	default:
		env.Append(cli.env)
	}
	return launched
}

// addCLIVolume adds the volume with the CLI, and what fills it.
func (i *injection) addCLIVolume(spec, volumes, annotations *patch.Cursor) *obstacle {
	if o := i.addVolume(volumes, volumeCLI, i.cli.volume, i.cli.isVolume); o != nil {
		return o
	}
	i.status.CLI, i.status.CLIImage = string(i.delivery), i.engine.cli.container.image
	if i.delivery == config.DeliveryImageVolume {
		if !i.launches {
			return nil
		}
		return i.addLauncherVolume(volumes, annotations)
	}
	return i.addCLIContainer(spec)
}

// addCLIContainer adds the init container that copies the CLI. It comes first: it needs nothing that the pod's own init
// containers prepare, and one of those may run the job's image and want the CLI.
func (i *injection) addCLIContainer(spec *patch.Cursor) *obstacle {
	i.status.InitContainers = append(i.status.InitContainers, initContainerCLI)
	i.noteStorage()
	i.copies = true
	if i.pod.containerNamed(initContainerCLI) != nil {
		return conflict("a container %s", initContainerCLI)
	}
	if c := i.pod.initContainerNamed(initContainerCLI); c != nil {
		if !mounts(c, volumeCLI) {
			return conflict("an init container %s", initContainerCLI)
		}
		return nil
	}
	spec.Member("initContainers").Prepend(i.engine.cli.container.fit(i.pod, i.namespace, nil, nil, nil))
	return nil
}
