import { componentize } from '@bytecodealliance/componentize-js';
import { readFile, writeFile } from 'node:fs/promises';
const [src,wit,world,out,dis]=process.argv.slice(2);
const { component } = await componentize(await readFile(src,'utf8'), { witPath: wit, worldName: world, disableFeatures: dis?dis.split(','):[] });
await writeFile(out, component); console.log(out, component.length);
